// A product of matrices in tiles, where every element is one chain of
// operations in the order of the inner index: sums of products, minima of sums.
// The right side comes in panels of 16 columns.
#pragma once
#include "fmath.h"

enum { COLUMNS = 16, ROWS = 64, INNER = 32 };

// The shared memory of tiles of T.
template <class T> struct Ring {
  T p[INNER][ROWS], q[INNER][COLUMNS];
};

// Goes over the tiles of a panel from row `first` on, `stride` rows apart. A thread has 4 rows and 2 columns: begin(rows,
// columns, acc) starts them, step(acc, row, column, P, Q) follows for every b in
// order, end(first row, rows, columns, acc) finishes a tile; the ring is free
// while it runs.
template <class T, class Acc, int UNROLL, class Begin, class Step, class End>
DEVICE void product(Ring<T> *ring, const T *__restrict__ p, const T *__restrict__ q, int na, int nb, int first, int stride, Begin begin, Step step, End end) {
  const int tid = threadIdx.x, column = 2 * (tid & 7), row = 4 * (tid >> 3);
  for (int a0 = first; a0 < na; a0 += stride) {
    Acc acc[4][2];
    begin(a0 + row, column, acc);
    for (int b0 = 0; b0 < nb; b0 += INNER) {
      const int inner = nb - b0 < INNER ? nb - b0 : INNER;
      for (int i = tid; i < inner * ROWS; i += 128) {
        const int a = a0 + i % ROWS;
        ring->p[i / ROWS][i % ROWS] = a < na ? p[(u64)(b0 + i / ROWS) * na + a] : T(0);
      }
      for (int i = tid; i < inner * COLUMNS; i += 128) ring->q[i / COLUMNS][i % COLUMNS] = q[(u64)b0 * COLUMNS + i];
      __syncthreads(); // the tiles of P and Q are there
#pragma unroll UNROLL
      for (int b = 0; b < inner; b++) {
        T x[4], y[2];
#pragma unroll
        for (int i = 0; i < 4; i++) x[i] = ring->p[b][row + i];
#pragma unroll
        for (int j = 0; j < 2; j++) y[j] = ring->q[b][column + j];
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
          for (int j = 0; j < 2; j++) step(acc[i][j], i, j, x[i], y[j]);
      }
      __syncthreads(); // and have been read
    }
    end(a0, a0 + row, column, acc);
  }
}
