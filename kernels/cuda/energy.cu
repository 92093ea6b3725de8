// Energies and free energies of chains.
//
// The free energy of the units that are given, at the points m of the path
// between base and the network, with at = m / 2^24:
//
//   F = -(fma(b1, at, b0 (1 - at)) unit + sum_a ln 2cosh(fma(field_a, at, base_a (1 - at)) unit))
//
// where b1 and b0 are the sums of bias and of base over the spins given, exact,
// and the sum over a is that of fmath.SumLnCosh2: runs of COSH_RUN units in order.
// A run of a chain and point is a thread, then a chain and point is.
//
//   fields [unit][chain]    as gibbs.cu writes them
//   terms  [point][run][chain]
#include "fmath.h"
#include "rule.h"

// The term of units [from, to) of a chain.
DEVICE double run_term(const int *fields, const int *base, int from, int to, int stride, double at, double unit) {
  CoshRun r = {0, 1};
#pragma unroll 4
  for (int a = from; a < to; a++) {
    const double rest = base ? (double)base[a] * (1 - at) : 0.0;
    add_ln_cosh2(r, fma_double((double)fields[(u64)a * stride], at, rest) * unit);
  }
  return total(r);
}

DEVICE double point_of(u32 m) { return (double)m * (1.0 / 16777216); }

// Where a launch is on a path: at the clock's point if there is a clock, which
// counts from the first of mix.
DEVICE const u32 *from_clock(const u32 *mix, const Clock *clock) { return clock ? mix + clock->point : mix; }

// terms of all runs and points; a block is 128 chains.
KERNEL(128, 4, run_terms, const int *fields, const int *base, const u32 *mix, const Clock *clock, double *terms, int units, int stride, int chains, double unit) {
  const int chain = blockIdx.x * 128 + threadIdx.x, runs = (units + COSH_RUN - 1) / COSH_RUN;
  if (chain >= chains) return;
  const double at = point_of(from_clock(mix, clock)[blockIdx.z]);
  for (int run = blockIdx.y; run < runs; run += gridDim.y) {
    const int from = run * COSH_RUN, to = from + COSH_RUN < units ? from + COSH_RUN : units;
    terms[((u64)blockIdx.z * runs + run) * stride + chain] = run_term(fields + chain, base, from, to, stride, at, unit);
  }
}

// out[point][chain] = F, from the terms. spins are those of the given units,
// [word][chain].
KERNEL(128, 4, free_energies, const double *terms, const u32 *spins, const int *bias, const int *base, const u32 *mix, const Clock *clock, double *out, int units, int given,
       int stride, int chains, double unit) {
  const int chain = blockIdx.x * 128 + threadIdx.x, runs = (units + COSH_RUN - 1) / COSH_RUN;
  if (chain >= chains) return;
  i64 b1 = 0, b0 = 0;
  for (int i = 0; i < given; i += 32) {
    const u32 x = spins[(u64)(i >> 5) * stride + chain];
    for (int j = 0; j < 32 && i + j < given; j++) {
      const bool up = x >> j & 1;
      b1 += up ? bias[i + j] : -(i64)bias[i + j];
      if (base) b0 += up ? base[i + j] : -(i64)base[i + j];
    }
  }
  const double at = point_of(from_clock(mix, clock)[blockIdx.y]);
  const double *t = terms + (u64)blockIdx.y * runs * stride + chain;
  double sum = 0;
  for (int run = 0; run < runs; run++) sum = sum + t[(u64)run * stride];
  out[(u64)blockIdx.y * stride + chain] = -(fma_double((double)b1, at, (double)b0 * (1 - at)) * unit + sum);
}

// weights[c] += d, d = f[0][c] - f[1][c]; and if there is a place, one for each of
// so many points, d is kept in that of point clock.point + ahead.
KERNEL(128, 4, add_differences, const double *f, double *weights, double *kept, u64 places, const Clock *clock, u64 ahead, int stride, int chains) {
  const int chain = blockIdx.x * 128 + threadIdx.x;
  if (chain >= chains) return;
  const double d = f[chain] - f[stride + chain];
  weights[chain] = weights[chain] + d;
  if (kept) kept[(clock->point + ahead) % places * stride + chain] = d;
}

// twice[c] -= sum_u s_u (2 bias[u] + sum_{ptr[u] <= k < ptr[u+1]} weight[k] s[unit[k]]):
// twice the energies, as every coupling stands in two lists. A thread is a
// chain and 32 units.
KERNEL(128, 4, list_energies, const int *ptr, const int *unit, const int *weight, const int *bias, const u32 *spins, u64 *twice, int units, int stride,
       int chains) {
  const int chain = blockIdx.x * 128 + threadIdx.x;
  if (chain >= chains) return;
  i64 e = 0;
  for (u32 word = blockIdx.y; word < (u32)(units + 31) / 32; word += gridDim.y) {
    const u32 own = spins[(u64)word * stride + chain];
    for (int j = 0; j < 32 && (int)word * 32 + j < units; j++) {
      const u32 u = 32 * word + j;
      i64 field = 2 * (i64)bias[u];
      for (int k = ptr[u]; k < ptr[u + 1]; k++) {
        const u32 x = unit[k];
        const i64 w = weight[k];
        field += spins[(u64)(x >> 5) * stride + chain] >> (x & 31) & 1 ? w : -w;
      }
      e += own >> j & 1 ? field : -field;
    }
  }
  add_u64(twice + chain, (u64)-e);
}
