// The sum over the states of an RBM's smaller layer, in the order of
// backend.RBMLeaf: tiles of 8 states of the group L and a panel of 16 of the
// group G, each state a product over the other units of fma(Y, X, 1), kept as
// mantissa and exponent. w is [other][unit]; L is the lowest units.
//
//   y [block][other][8]    x [panel][other][16]
#include "fmath.h"

enum { COLUMNS = 16, ROWS = 8, BLOCKS = 4 };
enum : i64 { OUTSIDE = -(1ll << 40) }; // exponent of what pads a tile
enum { INT_LEAST = -0x7FFFFFFF };      // and of what is as good as that

// A number as mantissa 2^exponent.
struct Scaled {
  double mantissa;
  i64 exponent;
};

// backend.SplitExp.
DEVICE Scaled split_exp(double x) {
  const double k = round_to_even(x * 1.44269504088896338700e+00);
  double r = fma_double(-k, 6.93147180369123816490e-01, x);
  r = fma_double(-k, 1.90821492927058770002e-10, r);
  return {exp_double(r), (i64)k};
}

// The weight e^(c s - sum u) of the states of n units; own are
// c less the sum of the unit's weights.
DEVICE Scaled weight_of(const i64 *own, i64 constant, int n, u64 state, double unit) {
  i64 x = constant;
  for (int a = 0; a < n; a++) x += state >> a & 1 ? own[a] : -own[a];
  return split_exp((double)x * unit);
}

DEVICE int field_of(const int *w, int n, u64 state) {
  int u = 0;
  for (int a = 0; a < n; a++) u += state >> a & 1 ? w[a] : -w[a];
  return u;
}

// Y, and the weights of the rows; a thread is a state of L and every
// gridDim.y-th other unit. Rows beyond the states have no weight.
KERNEL(128, 4, rbm_rows, const int *w, const int *bias, const i64 *own, double *y, Scaled *weights, int others, int units, int l, i64 constant, double unit) {
  const int state = blockIdx.x * 128 + threadIdx.x, rows = 1 << l, padded = rows < ROWS ? ROWS : rows;
  if (state >= padded) return;
  for (int u = blockIdx.y; u < others; u += gridDim.y)
    y[((u64)(state / ROWS) * others + u) * ROWS + state % ROWS] =
        state < rows ? exp_double(2 * (double)(bias[u] + field_of(w + (u64)u * units, l, state)) * unit) : 0.0;
  if (blockIdx.y == 0) weights[state] = state < rows ? weight_of(own, constant, l, state, unit) : Scaled{1, OUTSIDE};
}

// X, and the weights of the columns, of the panels from state g0 of G on; a
// block is a panel. own are those of G.
KERNEL(128, 4, rbm_columns, const int *w, const i64 *own, double *x, Scaled *weights, int others, int units, int l, u64 g0, double unit) {
  const u64 panel = blockIdx.x, first = g0 + COLUMNS * panel;
  const int g = units - l, columns = g < 4 ? 1 << g : COLUMNS, near = g < 4 ? g : 4, tid = threadIdx.x;
  if (tid < COLUMNS) weights[panel * COLUMNS + tid] = tid < columns ? weight_of(own, 0, g, first + tid, unit) : Scaled{0, OUTSIDE};
  for (int u = tid; u < others; u += 128) {
    const int *row = w + (u64)u * units + l;
    const int base = field_of(row + near, g - near, first >> near);
    double *to = x + (panel * others + u) * COLUMNS;
    for (int j = 0; j < COLUMNS; j++) to[j] = j < columns ? exp_double(2 * (double)(base + field_of(row, near, j)) * unit) : 0.0;
  }
}

// sums[panel][block] and their exponents: the sums of the tiles. A thread is a
// row and a column of each of BLOCKS tiles.
KERNEL(128, 4, rbm_tiles, const double *y, const double *x, const Scaled *row_weights, const Scaled *column_weights, Scaled *sums, int others, int split,
       int blocks) {
  SHARED(Scaled, tile, BLOCKS * ROWS * COLUMNS);
  const u64 panel = blockIdx.x;
  const int tid = threadIdx.x, i = tid / COLUMNS, j = tid % COLUMNS, block0 = blockIdx.y * BLOCKS;
  double m[BLOCKS];
  i64 e[BLOCKS];
  const double *row[BLOCKS];
#pragma unroll
  for (int k = 0; k < BLOCKS; k++) {
    m[k] = 1, e[k] = 0;
    row[k] = y + (u64)(block0 + k < blocks ? block0 + k : blocks - 1) * others * ROWS + i;
  }
  x += panel * others * COLUMNS + j;
  for (int from = 0; from < others; from += split) {
    const int to = from + split < others ? from + split : others;
#pragma unroll 2
    for (int u = from; u < to; u++) {
      const double b = x[u * COLUMNS];
#pragma unroll
      for (int k = 0; k < BLOCKS; k++) m[k] = m[k] * fma_double(row[k][u * ROWS], b, 1);
    }
#pragma unroll
    for (int k = 0; k < BLOCKS; k++) {
      const u64 bits = bits_of(m[k]);
      e[k] += (i64)(bits >> 52) - 1023;
      m[k] = as_double((bits & ((1ull << 52) - 1)) | 1023ull << 52);
    }
  }
  const Scaled c = column_weights[panel * COLUMNS + j];
#pragma unroll
  for (int k = 0; k < BLOCKS; k++) {
    const Scaled r = row_weights[(block0 + k < blocks ? block0 + k : blocks - 1) * ROWS + i];
    tile[k * ROWS * COLUMNS + tid] = {r.mantissa * c.mantissa * m[k], e[k] + r.exponent + c.exponent};
  }
  __syncthreads(); // all tiles are there
  if (tid >= 8 * BLOCKS) return;
  const Scaled *t = tile + tid / 8 * ROWS * COLUMNS;
  const int lane = tid % 8;
  int top = INT_LEAST;
  auto exponent = [&](int k) { return t[k].exponent < INT_LEAST ? (int)INT_LEAST : (int)t[k].exponent; };
  for (int k = lane; k < ROWS * COLUMNS; k += 8) top = exponent(k) > top ? exponent(k) : top;
#pragma unroll
  for (int w = 4; w; w >>= 1) {
    const int other = (int)shuffle_xor((u32)top, w);
    top = other > top ? other : top;
  }
  double sum = 0;
  for (int k = lane; k < ROWS * COLUMNS; k += 8) {
    const i64 p = (i64)exponent(k) - top + 1023;
    sum = fma_double(as_double((u64)(p > 0 ? p : 0) << 52), t[k].mantissa, sum);
  }
#pragma unroll
  for (int w = 4; w; w >>= 1) sum = sum + shuffle_xor(sum, w);
  const int block = block0 + tid / 8;
  if (lane == 0 && block < blocks) sums[panel * blocks + block] = {sum, top};
}
