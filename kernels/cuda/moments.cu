// Counts over chains, from rows of spins [unit][chain / 32]. All are added to
// 64-bit sums; with n chains, N_i spins of unit i at +1 and N_ij of both i and
// j, the sum of s_i is 2 N_i - n and that of s_i s_j is n - 2 N_i - 2 N_j + 4 N_ij.
#include "device.h"

DEVICE u32 sum_of_warp(u32 x) {
#pragma unroll
  for (int j = 16; j; j >>= 1) x += shuffle_xor(x, j);
  return x;
}

// ones[i] += N_i; a warp is a unit. words is the length of a row.
KERNEL(128, 4, count_ones, const u32 *rows, u64 *ones, int units, int words) {
  const int lane = threadIdx.x & 31, unit = blockIdx.x * 4 + (threadIdx.x >> 5);
  if (unit >= units) return;
  u32 n = 0;
  for (int k = lane; k < words; k += 32) n += popcount(rows[(u64)unit * words + k]);
  n = sum_of_warp(n);
  if (lane == 0) ones[unit] += n;
}

struct Edge {
  u32 a, b;
};

// sums[k] += N_ab of edge k; a warp is an edge.
KERNEL(128, 4, count_edges, const u32 *rows, const Edge *edges, u64 *sums, i64 count, int words) {
  const int lane = threadIdx.x & 31;
  const i64 edge = (i64)blockIdx.x * 4 + (threadIdx.x >> 5);
  if (edge >= count) return;
  const u32 *a = rows + (u64)edges[edge].a * words, *b = rows + (u64)edges[edge].b * words;
  u32 n = 0;
  for (int k = lane; k < words; k += 32) n += popcount(a[k] & b[k]);
  n = sum_of_warp(n);
  if (lane == 0) sums[edge] += n;
}

enum { TILE = 64, PAIR_WORDS = 64 };

// sums[i][j] += N_ij for rows a0 + i, i < na, and b0 + j, j < nb, on the tensor
// cores with chains as the inner dimension. A block is TILE × TILE pairs, a
// warp 16 × TILE; PAIR_WORDS words of chains for each blockIdx.z. With upper,
// tiles below the diagonal are left out. Rows up to whole tiles can be read.
KERNEL(128, 4, count_pairs, const u32 *rows, u64 *sums, int a0, int b0, int na, int nb, int words, int upper) {
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, q = lane & 3;
  const int i0 = blockIdx.x * TILE + 16 * warp, j0 = blockIdx.y * TILE;
  if ((upper && blockIdx.x > blockIdx.y) || i0 >= na) return;
  const int from = blockIdx.z * PAIR_WORDS, to = from + PAIR_WORDS < words ? from + PAIR_WORDS : words;
  int acc[TILE / 8][4];
#pragma unroll
  for (int i = 0; i < TILE / 8 * 4; i++) (&acc[0][0])[i] = 0;
  auto row = [&](int unit, int k) { return *(const U4 *)(rows + (u64)unit * words + k); };
  for (int k = from; k < to; k += 4) {
    U4 a[2] = {row(a0 + i0 + g, k), row(a0 + i0 + g + 8, k)};
    u32 fragment[4][4];
#pragma unroll
    for (int s = 0; s < 4; s++)
#pragma unroll
      for (int h = 0; h < 2; h++) {
        u32 x = a[h][s] >> 2 * q;
        fragment[s][h] = x & 0x01010101u, fragment[s][2 + h] = x >> 1 & 0x01010101u;
      }
#pragma unroll
    for (int t = 0; t < TILE / 8; t++) {
      if (j0 + 8 * t >= nb) break;
      U4 b = row(b0 + j0 + 8 * t + g, k);
#pragma unroll
      for (int s = 0; s < 4; s++) {
        u32 x = b[s] >> 2 * q;
        mma_s8(acc[t], fragment[s], x & 0x01010101u, x >> 1 & 0x01010101u);
      }
    }
  }
#pragma unroll
  for (int t = 0; t < TILE / 8; t++)
#pragma unroll
    for (int e = 0; e < 4; e++) {
      int i = i0 + g + 8 * (e >> 1), j = j0 + 8 * t + 2 * q + (e & 1);
      if (i < na && j < nb && acc[t][e]) add_u64(sums + (u64)i * nb + j, (u64)acc[t][e]);
    }
}
