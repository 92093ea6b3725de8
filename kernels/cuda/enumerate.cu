// All 2^N states of a quadratic function of N spins, cut into three groups: the
// value of state (a, b, c) is P[a,b] + Q[b,c] + R[a,c] (backend.Layout). States c
// come in panels of 16; a block of the products is a panel and goes over all a
// in tiles of 64 rows and over all b, the inner index:
//
//   enum_minimum    least[panel] = min over a, b, c of P + Q + R
//   enum_count      how many states of the marked panels have one value
//   enum_histogram  counts[P + Q + R]++ for every state
//   enum_sums       sums[panel] = sum_ac R[a,c] sum_b P[a,b] Q[b,c] of Boltzmann
//                   factors, in the order of backend.LeafSum
//
// A spin's value is 1 where its bit is set, else `low`: -1 for energies, 0 for
// the numbers of bins.
//
//   p [b][a]   q [panel][b][16]   r [panel][a][16]
#include "product.h"

enum { COUNTERS = 8192 };

// What the panels of a launch are made of. fa[k][a] and fb[k][b] are the factors
// of the value of spin k of C.
struct Panel {
  const int *eb, *fa, *fb, *linear, *square;
  int na, nb, nc, low;
  u64 c0; // first state
};

// Calls q(b, y, value) and r(a, y, value) for all entries of a panel of C.
template <class Q, class R> DEVICE void fill_panel(const Panel &x, int *column, Q q, R r) {
  const int cols = x.nc < 4 ? 1 << x.nc : COLUMNS, near = x.nc < 4 ? x.nc : 4, tid = threadIdx.x;
  auto value = [&](u64 c, int k) { return c >> k & 1 ? 1 : x.low; };
  if (tid < cols) {
    const u64 c = x.c0 + tid;
    int e = 0;
    for (int k = 0; k < x.nc; k++) {
      int f = x.linear[k];
      for (int i = 0; i < k; i++) f += x.square[k * x.nc + i] * value(c, i);
      e += f * value(c, k);
    }
    column[tid] = e;
  }
  __syncthreads(); // the columns' own values
  auto rows = [&](const int *own, const int *f, int n, auto put) {
    for (int s = tid; s < n; s += 128) {
      int base = own ? own[s] : 0, g[4] = {0, 0, 0, 0};
      for (int k = near; k < x.nc; k++) base += f[k * n + s] * value(x.c0, k);
#pragma unroll
      for (int k = 0; k < 4; k++)
        if (k < near) g[k] = f[k * n + s];
#pragma unroll 4
      for (int y = 0; y < cols; y++) {
        int e = base;
#pragma unroll
        for (int k = 0; k < 4; k++) e += g[k] * value(y, k);
        put(s, y, e);
      }
    }
  };
  rows(x.eb, x.fb, x.nb, q);
  rows(nullptr, x.fa, x.na, [&](int a, int y, int e) { r(a, y, e + column[y]); });
}

// Values of the panels from state c0 on; a block is a panel.
KERNEL(128, 4, enum_values, const int *eb, const int *fa, const int *fb, const int *linear, const int *square, int *q, int *r, int na, int nb, int nc,
       int low, u64 c0) {
  SHARED(int, column, COLUMNS);
  const u64 panel = blockIdx.x;
  q += panel * nb * COLUMNS, r += panel * na * COLUMNS;
  fill_panel(Panel{eb, fa, fb, linear, square, na, nb, nc, low, c0 + COLUMNS * panel}, column, [&](int b, int y, int e) { q[b * COLUMNS + y] = e; },
             [&](int a, int y, int e) { r[a * COLUMNS + y] = e; });
}

// Boltzmann factors of the panels from state c0 on, relative to the shifts of Q
// and R of each leaf, 2^free states from leaf0 on. Columns that no state has are 0.
KERNEL(128, 4, enum_factors, const int *eb, const int *fa, const int *fb, const int *linear, const int *square, const int *shift, double *q, double *r,
       int na, int nb, int nc, int free, u64 c0, u64 leaf0, double scale) {
  SHARED(int, column, COLUMNS);
  const u64 panel = blockIdx.x, c = c0 + COLUMNS * panel;
  const int cols = nc < 4 ? 1 << nc : COLUMNS, *s = shift + 2 * ((c >> free) - leaf0);
  q += panel * nb * COLUMNS, r += panel * na * COLUMNS;
  for (int i = threadIdx.x; i < COLUMNS * (na > nb ? na : nb); i += 128) {
    if (i % COLUMNS < cols) continue;
    if (i < COLUMNS * nb) q[i] = 0;
    if (i < COLUMNS * na) r[i] = 0;
  }
  fill_panel(Panel{eb, fa, fb, linear, square, na, nb, nc, -1, c}, column,
             [&](int b, int y, int e) { q[b * COLUMNS + y] = exp_double((double)(e - s[0]) * scale); },
             [&](int a, int y, int e) { r[a * COLUMNS + y] = exp_double((double)(e - s[1]) * scale); });
}

// to[i] = exp((from[i] - shift) scale).
KERNEL(128, 4, enum_weights, const int *from, double *to, i64 n, int shift, double scale) {
  const i64 i = (i64)blockIdx.x * 128 + threadIdx.x;
  if (i < n) to[i] = exp_double((double)(from[i] - shift) * scale);
}

DEVICE int min_int(int a, int b) { return a < b ? a : b; }

KERNEL(128, 4, enum_minimum, const int *p, const int *q, const int *r, int *least, int na, int nb, int cols) {
  SHARED(Ring<int>, ring, 1);
  const u64 panel = blockIdx.x;
  r += panel * na * COLUMNS;
  int best = 0x7FFFFFFF;
  product<int, int, 4>(
      ring, p, q + panel * nb * COLUMNS, na, nb, 0, ROWS, [](int, int, int(&acc)[4][2]) {
        for (int i = 0; i < 8; i++) (&acc[0][0])[i] = 0x3FFFFFFF;
      },
      [](int &acc, int, int, int x, int y) { acc = min_int(acc, x + y); },
      [&](int, int row, int column, int(&acc)[4][2]) {
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
          for (int j = 0; j < 2; j++)
            if (row + i < na && column + j < cols) best = min_int(best, acc[i][j] + r[(row + i) * COLUMNS + column + j]);
      });
#pragma unroll
  for (int w = 16; w; w >>= 1) best = min_int(best, (int)shuffle_xor((u32)best, w));
  if ((threadIdx.x & 31) == 0) min_s32(least + panel, best);
}

KERNEL(128, 4, enum_count, const int *panels, const int *p, const int *q, const int *r, u64 *count, int na, int nb, int cols, int value) {
  SHARED(Ring<int>, ring, 1);
  const u64 panel = panels[blockIdx.x];
  r += panel * na * COLUMNS;
  u32 found = 0;
  int want[4][2];
  product<int, u32, 4>(
      ring, p, q + panel * nb * COLUMNS, na, nb, 0, ROWS, [&](int row, int column, u32(&acc)[4][2]) {
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
          for (int j = 0; j < 2; j++) acc[i][j] = 0, want[i][j] = row + i < na && column + j < cols ? value - r[(row + i) * COLUMNS + column + j] : 0;
      },
      [&](u32 &acc, int i, int j, int x, int y) { acc += x + y == want[i][j]; },
      [&](int, int row, int column, u32(&acc)[4][2]) {
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
          for (int j = 0; j < 2; j++)
            if (row + i < na && column + j < cols) found += acc[i][j];
      });
#pragma unroll
  for (int w = 16; w; w >>= 1) found += shuffle_xor(found, w);
  if ((threadIdx.x & 31) == 0) add_u64(count, found);
}

// With copies, a power of two, bins times that fit COUNTERS, and each lane of a
// warp counts in the copy of its own number; without, all count in memory.
KERNEL(128, 4, enum_histogram, const int *p, const int *q, const int *r, u64 *counts, int na, int nb, int cols, int bins, int copies) {
  struct Shared {
    Ring<int> ring;
    u32 counter[COUNTERS];
  };
  SHARED(Shared, s, 1);
  const u64 panel = blockIdx.x;
  r += panel * na * COLUMNS;
  const int tid = threadIdx.x, copy = tid & (copies - 1);
  for (int i = tid; i < bins * copies; i += 128) s->counter[i] = 0; // product's barriers stand before the first count and after the last
  int base[4][2];
  product<int, int, 1>(
      &s->ring, p, q + panel * nb * COLUMNS, na, nb, 0, ROWS, [&](int row, int column, int(&)[4][2]) {
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
          for (int j = 0; j < 2; j++) base[i][j] = row + i < na && column + j < cols ? r[(row + i) * COLUMNS + column + j] : -0x40000000;
      },
      [&](int &, int i, int j, int x, int y) {
        if (base[i][j] == -0x40000000) return; // where y may be anything
        const int bin = base[i][j] + x + y;
        if (copies) add_shared(&s->counter[bin * copies + copy], 1);
        else add_u64(counts + bin, 1);
      },
      [](int, int, int, int(&)[4][2]) {});
  for (int bin = tid; copies && bin < bins; bin += 128) {
    u32 n = 0;
    for (int k = 0; k < copies; k++) n += s->counter[bin * copies + k];
    if (n) add_u64(counts + bin, n);
  }
}

KERNEL(128, 4, enum_sums, const double *p, const double *q, const double *r, double *sums, int na, int nb) {
  union Shared {
    Ring<double> ring;
    struct {
      double t[ROWS][COLUMNS], r[ROWS][COLUMNS];
    } tile;
  };
  SHARED(Shared, s, 1);
  const u64 panel = blockIdx.x;
  const int tid = threadIdx.x;
  r += panel * na * COLUMNS;
  double lane = 0;
  product<double, double, 4>(
      &s->ring, p, q + panel * nb * COLUMNS, na, nb, 0, ROWS, [](int, int, double(&acc)[4][2]) {
        for (int i = 0; i < 8; i++) (&acc[0][0])[i] = 0;
      },
      [](double &acc, int, int, double x, double y) { acc = fma_double(x, y, acc); },
      [&](int a0, int row, int column, double(&acc)[4][2]) {
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
          for (int j = 0; j < 2; j++) s->tile.t[row - a0 + i][column + j] = acc[i][j];
        const int rows = na - a0 < ROWS ? na - a0 : ROWS;
        for (int i = tid; i < rows * COLUMNS; i += 128) s->tile.r[i / COLUMNS][i % COLUMNS] = r[a0 * COLUMNS + i];
        __syncthreads(); // a tile of sums and of R
        if (tid < 8)
          for (int i = 0; i < rows; i++) {
            lane = fma_double(s->tile.t[i][tid], s->tile.r[i][tid], lane);
            lane = fma_double(s->tile.t[i][tid + 8], s->tile.r[i][tid + 8], lane);
          }
        __syncthreads(); // and it has been added
      });
  if (tid >= 32) return;
#pragma unroll
  for (int w = 4; w; w >>= 1) lane = lane + shuffle_xor(lane, w);
  if (tid == 0) sums[panel] = lane;
}
