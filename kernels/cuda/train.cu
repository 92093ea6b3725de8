// A step of training an RBM, as package backend defines it (TrainerSpec and
// Update): exact sums in integers, then float64 in one fixed order. v counts
// visible and h hidden units.
#include "fmath.h"

DEVICE i64 sum_of_warp(i64 x) {
#pragma unroll
  for (int j = 16; j; j >>= 1) {
    u32 low = shuffle_xor((u32)x, j), high = shuffle_xor((u32)((u64)x >> 32), j);
    x += (i64)((u64)high << 32 | low);
  }
  return x;
}

// sums[i] = sum_c s_i of rows [unit][chain / 32]; a warp is a unit.
KERNEL(128, 4, sum_spins, const u32 *rows, i64 *sums, int units, int words, int chains) {
  const int lane = threadIdx.x & 31, unit = blockIdx.x * 4 + (threadIdx.x >> 5);
  if (unit >= units) return;
  i64 n = 0;
  for (int k = lane; k < words; k += 32) n += popcount(rows[(u64)unit * words + k]);
  n = sum_of_warp(n);
  if (lane == 0) sums[unit] = 2 * n - chains;
}

// sums[a] = sum_c m_a of means in digits, as gibbs.cu writes them; a warp is a
// unit. stride is the number of chains with their pad.
KERNEL(128, 4, sum_means, const signed char *means, i64 *sums, int units, int places, int stride) {
  const int lane = threadIdx.x & 31, unit = blockIdx.x * 4 + (threadIdx.x >> 5);
  if (unit >= units) return;
  i64 n = 0;
  for (int d = 2; d >= 0; d--) {
    n *= 256;
    for (int c = lane; c < stride; c += 32) n += means[((u64)d * places + unit) * stride + c];
  }
  n = sum_of_warp(n);
  if (lane == 0) sums[unit] = n;
}

enum { ROWS = 64, COLUMNS = 32 };

// pairs[i][a] = factor · sum_c v_i m_a, plus what was there if add: 64 × 32
// pairs a block, chains as the inner dimension of the tensor cores. sums are
// those of m.
KERNEL(128, 2, sum_pairs, const u32 *rows, const signed char *means, const i64 *sums, i64 *pairs, int v, int h, int words, int places, i64 factor,
       int add) {
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, g = lane >> 2, q = lane & 3;
  const int i0 = blockIdx.x * ROWS + 16 * warp, a0 = blockIdx.y * COLUMNS;
  if (i0 >= v) return;
  int acc[3][COLUMNS / 8][4];
#pragma unroll
  for (int i = 0; i < 3 * COLUMNS / 8 * 4; i++) (&acc[0][0][0])[i] = 0;
  for (int k = 0; k < words; k++) {
    u32 a[4];
#pragma unroll
    for (int half = 0; half < 2; half++) {
      u32 x = rows[(u64)(i0 + g + 8 * half) * words + k] >> 2 * q;
      a[half] = x & 0x01010101u, a[2 + half] = x >> 1 & 0x01010101u;
    }
#pragma unroll
    for (int d = 0; d < 3; d++)
#pragma unroll
      for (int t = 0; t < COLUMNS / 8; t++) {
        u64 b = *(const u64 *)(means + (((u64)d * places + a0 + 8 * t + g) * words + k) * 32 + 8 * q);
        mma_s8(acc[d][t], a, (u32)b, (u32)(b >> 32));
      }
  }
#pragma unroll
  for (int t = 0; t < COLUMNS / 8; t++)
#pragma unroll
    for (int e = 0; e < 4; e++) {
      const int i = i0 + g + 8 * (e >> 1), a = a0 + 8 * t + 2 * q + (e & 1);
      if (i >= v || a >= h) continue;
      i64 x = (i64)acc[0][t][e] + 256 * (i64)acc[1][t][e] + 65536 * (i64)acc[2][t][e];
      i64 *to = pairs + (u64)i * h + a;
      *to = factor * (2 * x - sums[a]) + (add ? *to : 0);
    }
}

// energies[c] -= sum_i b_i v_i + sum_a h_a (c_a + sum_i w[i][a] v_i), for the
// word of hidden units blockIdx.y; that of word 0 has the visible biases.
// spins are [word][chain], visible words first.
KERNEL(128, 4, add_energies, const u32 *spins, const int *w, const int *bias, u64 *energies, int v, int h, int stride, int chains) {
  const int chain = blockIdx.x * 128 + threadIdx.x, word = blockIdx.y;
  if (chain >= chains) return;
  auto up = [&](int word, int unit) { return spins[(u64)word * stride + chain] >> unit & 1; };
  i64 e = 0;
  if (word == 0)
    for (int i = 0; i < v; i++) e += up(i >> 5, i & 31) ? bias[i] : -(i64)bias[i];
  for (int a = 32 * word; a < h && a < 32 * word + 32; a++) {
    u32 field = bias[v + a];
    for (int i = 0; i < v; i++) {
      u32 x = w[(u64)i * h + a];
      field += up(i >> 5, i & 31) ? x : 0u - x;
    }
    e += up((v + 31) / 32 + word, a & 31) ? (int)field : -(i64)(int)field;
  }
  add_u64(energies + chain, (u64)-e);
}

// Exchanges the chains that are marked, [chain / 32], of two sets.
KERNEL(128, 4, exchange_chains, u32 *x, u32 *y, const u32 *marks, u32 words, int stride) {
  const int chain = blockIdx.x * 128 + threadIdx.x;
  if (!(marks[chain / 32] >> (chain & 31) & 1)) return;
  for (u32 word = blockIdx.y; word < words; word += gridDim.y) {
    u32 *a = x + (u64)word * stride + chain, *b = y + (u64)word * stride + chain;
    u32 t = *a;
    *a = *b, *b = t;
  }
}

// delta[u] = <s>_data - <s>_model, and the offsets follow the data. unit0 is
// the first of the units, n how many.
KERNEL(128, 4, mean_changes, const i64 *data, const i64 *model, double *delta, double *offset, int n, double per_sample, double per_chain, double rate) {
  const int u = blockIdx.x * 128 + threadIdx.x;
  if (u >= n) return;
  double x = (double)data[u] * per_sample;
  delta[u] = x - (double)model[u] * per_chain;
  offset[u] = fma_double(rate, x - offset[u], offset[u]);
}

// Momentum, where there are velocities.
DEVICE double with_momentum(float *velocity, u64 k, double momentum, double x) {
  if (!velocity) return x;
  x = fma_double(momentum, (double)velocity[k], x);
  velocity[k] = (float)x;
  return x;
}

enum { BLOCK_ROWS = 64 };

// The change of every weight, to change and to the weights; part[block][a] is
// sum_i change_ia offset_i over BLOCK_ROWS rows. A thread is a column.
KERNEL(128, 4, change_weights, const i64 *pairs, float *w, float *velocity, double *change, double *part, const double *delta, const double *offset,
       int v, int h, double factor, double rate, double momentum, double decay, double l1) {
  const int a = blockIdx.x * 128 + threadIdx.x;
  if (a >= h) return;
  const double dh = delta[v + a], lambda = offset[v + a];
  double sum = 0;
  for (int i = BLOCK_ROWS * blockIdx.y; i < v && i < BLOCK_ROWS * ((int)blockIdx.y + 1); i++) {
    const u64 k = (u64)i * h + a;
    const double old = (double)w[k];
    double g = (double)pairs[k] * factor;
    g = fma_double(-offset[i], dh, g);
    g = fma_double(-delta[i], lambda, g);
    g = fma_double(-decay, old, g);
    if (old > 0) g = g - l1;
    if (old < 0) g = g + l1;
    const double x = with_momentum(velocity, k, momentum, rate * g);
    w[k] = (float)(old + x);
    change[k] = x;
    sum = fma_double(x, offset[i], sum);
  }
  part[(u64)blockIdx.y * h + a] = sum;
}

// b_i += y_i - sum_a change_ia lambda_a in eight lanes. Eight threads are a unit.
KERNEL(128, 4, change_visible, const double *change, float *bias, float *velocity, const double *delta, const double *offset, int v, int h,
       double rate, double momentum) {
  const int i = blockIdx.x * 16 + (threadIdx.x >> 3), l = threadIdx.x & 7;
  double s = 0;
  if (i < v)
    for (int a = l; a < h; a += 8) s = fma_double(change[(u64)i * h + a], offset[v + a], s);
#pragma unroll
  for (int w = 4; w; w >>= 1) s = s + shuffle_xor(s, w);
  if (i >= v || l) return;
  const double y = with_momentum(velocity, (u64)v * h + i, momentum, rate * delta[i]);
  bias[i] = (float)((double)bias[i] + (y - s));
}

// c_a += y_a - sum_i change_ia mu_i, blocks of rows in order.
KERNEL(128, 4, change_hidden, const double *part, float *bias, float *velocity, const double *delta, int v, int h, double rate, double momentum) {
  const int a = blockIdx.x * 128 + threadIdx.x;
  if (a >= h) return;
  double sum = 0;
  for (int k = 0; k < (v + BLOCK_ROWS - 1) / BLOCK_ROWS; k++) sum = sum + part[(u64)k * h + a];
  const double y = with_momentum(velocity, (u64)v * h + v + a, momentum, rate * delta[v + a]);
  bias[v + a] = (float)((double)bias[v + a] + (y - sum));
}

enum { MIN_FRAC = 11, MAX_FRAC = 23 };

// What rounding the weights found: the fraction bits that fit, fewer than
// MIN_FRAC if none do or if a number is not finite, and the range of the
// rounded weights.
struct Rounding {
  int frac, least, most;
};

// frac = min(frac, most bits that unit u allows), as spin.Quantize decides. A
// thread is a unit; its sum runs in the order of the weights.
KERNEL(128, 4, fit_fraction, const float *w, const float *bias, Rounding *found, int v, int h) {
  const int u = blockIdx.x * 128 + threadIdx.x;
  if (u >= v + h) return;
  double sum = abs_double((double)bias[u]);
  const int terms = 1 + (u < v ? h : v);
  for (int k = 0; k < terms - 1; k++) sum = sum + abs_double((double)(u < v ? w[(u64)u * h + k] : w[(u64)k * h + u - v]));
  int frac = MAX_FRAC;
  while (frac >= MIN_FRAC && !(sum * (double)(1 << frac) + (double)terms / 2 + 1 < 2147483648.0)) frac--;
  min_s32(&found->frac, frac);
}

// Weights and biases in fixed point, and the weights' range.
KERNEL(128, 4, round_weights, const float *w, const float *bias, Rounding *found, int *fixed, int *fixed_bias, i64 weights, int units) {
  const i64 k = (i64)blockIdx.x * 128 + threadIdx.x;
  const int frac = found->frac;
  if (frac < MIN_FRAC) return;
  const double scale = (double)(1 << frac);
  if (k < units) fixed_bias[k] = (int)round_to_even((double)bias[k] * scale);
  int x = 0;
  if (k < weights) fixed[k] = x = (int)round_to_even((double)w[k] * scale);
  int least = x, most = x;
#pragma unroll
  for (int j = 16; j; j >>= 1) {
    int y = (int)shuffle_xor((u32)least, j), z = (int)shuffle_xor((u32)most, j);
    least = y < least ? y : least, most = z > most ? z : most;
  }
  if ((threadIdx.x & 31) == 0) min_s32(&found->least, least), max_s32(&found->most, most);
}

// *sum += all pairs.
KERNEL(128, 4, sum_all, const i64 *pairs, u64 *sum, i64 n) {
  i64 x = 0;
  for (i64 k = (i64)blockIdx.x * 128 + threadIdx.x; k < n; k += (i64)gridDim.x * 128) x += pairs[k];
  x = sum_of_warp(x);
  if ((threadIdx.x & 31) == 0) add_u64(sum, (u64)x);
}

// The change x of tied weights.
KERNEL(128, 4, change_tied, float *w, float *velocity, i64 n, double x, double momentum) {
  const i64 k = (i64)blockIdx.x * 128 + threadIdx.x;
  if (k < n) w[k] = (float)((double)w[k] + with_momentum(velocity, k, momentum, x));
}
