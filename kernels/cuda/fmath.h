// The elementary functions of package spin/fmath: the same operations in the
// same order, so the same bits.
#pragma once
#include "device.h"

// Coefficients are read at fixed places only, so that they become constants.
#define EXPM1_COEFFS                                                                                                                   \
  {1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800,             \
   1.0 / 479001600, 1.0 / 6227020800}
#define ATANH_COEFFS                                                                                                                   \
  {1.0 / 3, 1.0 / 5, 1.0 / 7, 1.0 / 9, 1.0 / 11, 1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19, 1.0 / 21, 1.0 / 23, 1.0 / 25, 1.0 / 27,       \
   1.0 / 29, 1.0 / 31, 1.0 / 33, 1.0 / 35}

DEVICE double as_double(u64 x) { return __builtin_bit_cast(double, x); }
DEVICE u64 bits_of(double x) { return __builtin_bit_cast(u64, x); }
DEVICE double shuffle_xor(double x, u32 lanes) {
  const u64 u = bits_of(x);
  const u32 low = shuffle_xor((u32)u, lanes), high = shuffle_xor((u32)(u >> 32), lanes);
  return as_double((u64)high << 32 | low);
}
// 2^n for a whole number n within [-1022, 1023].
DEVICE double pow2(double n) { return as_double((u64)((i64)n + 1023) << 52); }

// e^r - 1 for |r| <= ln 2 / 2.
DEVICE double expm1_reduced(double r) {
  const double c[12] = EXPM1_COEFFS;
  double q = c[11];
#pragma unroll
  for (int i = 10; i >= 0; i--) q = fma_double(q, r, c[i]);
  return fma_double(q, r * r, r);
}

// 2^k and e^r - 1 with x = k ln 2 + r, for |x| <= 708.
DEVICE double reduce_exp(double x, double &scale) {
  const double magic = 6755399441055744.0; // 2^52 + 2^51
  const double k = fma_double(x, 1.44269504088896338700e+00, magic) - magic;
  double r = fma_double(-k, 6.93147180369123816490e-01, x);
  r = fma_double(-k, 1.90821492927058770002e-10, r);
  scale = pow2(k);
  return expm1_reduced(r);
}

// fmath.Exp.
DEVICE double exp_double(double x) {
  if (x < -708.0) return 0;
  double scale, p = reduce_exp(x, scale);
  return fma_double(scale, p, scale);
}

// fmath.Tanh.
DEVICE double tanh_double(double x) {
  double y = -2 * abs_double(x);
  if (y < -40) y = -40;
  double scale, p = reduce_exp(y, scale);
  const double e = fma_double(scale, p, scale - 1), t = -e / (2 + e);
  return as_double((bits_of(t) & ~(1ull << 63)) | (bits_of(x) & 1ull << 63));
}

// fmath.Log, of x >= 1.
DEVICE double log_double(double x) {
  const double c[17] = ATANH_COEFFS;
  const u64 b = bits_of(x);
  i64 k = (i64)(b >> 52) - 1022;
  double f = as_double((b & ((1ull << 52) - 1)) | 1022ull << 52);
  if (f < 0.70710678118654752440) f = f * 2, k--;
  const double s = (f - 1) / (f + 1), w = s * s;
  double q = c[11];
#pragma unroll
  for (int i = 10; i >= 0; i--) q = fma_double(q, w, c[i]);
  q = fma_double(q * w, s, s);
  return fma_double((double)k, 6.93147180369123816490e-01, fma_double((double)k, 1.90821492927058770002e-10, 2 * q));
}

// What a run of terms of fmath.SumLnCosh2 has come to.
struct CoshRun {
  double sum, product;
};
enum { COSH_RUN = 512 }; // terms of a run
DEVICE void add_ln_cosh2(CoshRun &r, double x) {
  double y = abs_double(x), scale;
  r.sum = r.sum + y;
  y = y * -2;
  if (!(y > -64)) y = -64;
  const double p = reduce_exp(y, scale);
  r.product = fma_double(r.product, fma_double(scale, p, scale), r.product);
}
DEVICE double total(const CoshRun &r) { return r.sum + log_double(r.product); }
