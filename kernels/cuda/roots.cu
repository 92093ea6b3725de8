// The weight W of an RBM with one weight that fits a distribution of V best, as
// kernels/roots defines it: for rings of Ising spins from a table, for any
// distribution by Newton's method. A thread is a problem and stops by itself.
#include "fmath.h"

enum { ROW = 16, DEGREE = 13 };

// w[i] = the polynomial of K's interval; problems outside the table are left.
KERNEL(128, 8, roots_table, const double *k, double *w, const double *rows, i64 n, u64 first, u64 count, int shift) {
  const i64 i = (i64)blockIdx.x * 128 + threadIdx.x;
  if (i >= n) return;
  const u64 b = bits_of(k[i]), interval = (b >> shift) - first;
  if (interval >= count) return;
  const double *c = rows + interval * ROW;
  const double r = as_double((b << (52 - shift) & ((1ull << 52) - 1)) | 1023ull << 52) - 1.5;
  double s = c[DEGREE];
#pragma unroll
  for (int j = DEGREE - 1; j >= 0; j--) s = fma_double(s, r, c[j]);
  w[i] = s;
}

// fmath.ExpComplement: e^a and 1 - e^a for a <= 0.
DEVICE double exp_complement(double a, double &one_minus) {
  if (!(a > -700)) a = -700;
  const double n = round_to_even(a * 1.44269504088896338700e+00);
  double r = fma_double(-n, 6.93147180369123816490e-01, a);
  r = fma_double(-n, 1.90821492927058770002e-10, r);
  const double p = expm1_reduced(r), t = pow2(n);
  one_minus = fma_double(-t, p, 1 - t);
  return fma_double(t, p, t);
}

DEVICE int top_bit(int n) {
  int bit = 1;
  while (2 * bit <= n) bit *= 2;
  return bit;
}

// fmath.PowInt: a^n; top is n's highest bit.
DEVICE double power(double a, int n, int top) {
  double r = a;
  for (int bit = top >> 1; bit; bit >>= 1) {
    r = r * r;
    if (n & bit) r = r * a;
  }
  return r;
}

// fmath.PowComplement: (1 + a)^n - 1.
DEVICE double power_complement(double a, int n, int top) {
  double r = a;
  for (int bit = top >> 1; bit; bit >>= 1) {
    r = r * (2 + r);
    if (n & bit) r = fma_double(r, a, r + a);
  }
  return r;
}

// What depends on the numbers of units only. values[8 j] are those of |V| = M - 2j:
// the number of configurations, 2|V|, V^2, 2j, V^2 - M, and the number's low part.
struct Size {
  const double *values;
  int m, n, top, h, odd;
};

// A thread's powers x^k and 1 - x^k and terms D, each [k][problem].
struct Scratch {
  double *x, *d, *term;
  u64 stride;
};

struct Sums {
  double sa, sad, sp, sb, sbd, u, r;
};

// Size.eval: both sides at w. weight is [j][problem].
DEVICE Sums evaluate(const Size &s, const double *weight, double w, const Scratch &t) {
  const u64 z = t.stride;
  const int h = s.h;
  double d1;
  const double x = exp_complement(-2 * w, d1);
  double xk = 1, dk = 0, xb = 1;
  t.x[0] = 1, t.d[0] = 0;
  for (int k = 1; k <= h; k++) {
    dk = fma_double(xk, d1, dk);
    xb = xk;
    xk = xk * x;
    t.d[k * z] = dk, t.x[k * z] = xk;
  }
  double e0 = xk * xk, n0 = fma_double(xk, dk, dk), e1 = xb * xb;
  if (s.odd) {
    n0 = fma_double(e0, d1, n0);
    e0 = e0 * x;
    e1 = e1 * x;
  }
  const double i0 = 1 / (1 + e0), i1 = 1 / (1 + e1), tm = n0 * i0, m2 = (double)s.m * (double)s.m, c0 = e0 * i0 * i0 * m2, nf = s.n;
  Sums r = {};
  for (int j = 1; j <= h; j++) {
    double e = t.x[(h - j) * z] * t.x[(h - j) * z];
    if (s.odd) e = e * x;
    const double i = 1 / (1 + e), ei = e * i, *v = s.values + 8 * j;
    const double p = v[0] * power(t.x[(j - 1) * z] * (1 + e) * i1, s.n, s.top);
    const double n = fma_double(t.x[j * z], t.d[j * z], t.d[j * z]);
    const double d = fma_double(v[1] * ei, n * i0, v[3] * tm), dp = 4 * fma_double(-v[2], ei * i, c0);
    const double q = weight[j * z];
    t.term[j * z] = d;
    r.sa = fma_double(q, d, r.sa);
    r.sad = fma_double(q, dp, r.sad);
    r.sp = r.sp + p;
    r.sb = fma_double(p, d, r.sb);
    r.sbd = fma_double(p, fma_double(-(nf * d), d, dp), r.sbd);
  }
  r.r = (1 + e1) * i0;
  r.u = x * r.r;
  return r;
}

enum { MAX_NEWTON = 24, GUESS_SHIFT = 48, GUESS_FIRST = (1023 - 20) << 4 };

// guessTable.start.
DEVICE double start(const double *guess, double mean0, double total, double deficit) {
  double y = fma_double(mean0, total, -deficit) / deficit;
  const double low = 0x1p-20, top = 0x1.fffffffffffffp63;
  if (!(y > low)) y = low;
  if (!(y < top)) y = top;
  const double *r = guess + 4 * ((bits_of(y) >> GUESS_SHIFT) - GUESS_FIRST);
  return fma_double(y - r[0], r[2], r[1]);
}

// Size.newton: the root, and W dF/dW there; 0 where float64 does not do.
DEVICE double newton(const Size &s, const double *weight, const double *guess, double mean0, const Scratch &t, double &slope) {
  double total = 0, deficit = 0, excess = 0, least = weight[0];
  for (int j = 0; j <= s.h; j++) {
    const double x = weight[j * t.stride], *v = s.values + 8 * j;
    total = total + x;
    deficit = fma_double(x, v[3], deficit);
    excess = fma_double(x, v[4], excess);
    if (x < least) least = x;
  }
  slope = 0;
  if (!(least >= 0 && total >= 0x1p-400 && total <= 0x1p400 && deficit >= 0x1p-400 * total && excess > 0)) return 0;
  double w = start(guess, mean0, total, deficit), lo = 0, hi = __builtin_inf();
  const double nf = s.n;
  for (int steps = 0; steps < MAX_NEWTON; steps++) {
    const Sums r = evaluate(s, weight, w, t);
    const double u = power(r.u, s.n, s.top), p = fma_double(u, r.sp, 2), ub = u * r.sb;
    const double x = r.sa * p, y = ub * total, a = (x - y) / (x + y), a2 = a * a;
    const double f = a * fma_double(a2, fma_double(a2, 2.0 / 5, 2.0 / 3), 2);
    const double d = fma_double(-nf, ub / p, r.sad / r.sa - r.sbd / r.sb);
    if (f < 0) lo = w;
    else hi = w;
    double next = w - f / d;
    if (!(next >= lo && next <= hi)) {
      const double half = lo + 0.5 * (hi - lo), twice = 2 * w;
      next = half < twice ? half : twice;
    }
    const double step = abs_double(next - w), before = w;
    w = next;
    if (step <= 0x1p-24 * before) {
      slope = d * w;
      return w;
    }
  }
  return 0;
}

// Size.polish: one more step, with f - g as a difference of small terms.
DEVICE double polish(const Size &s, const double *weight, const double *low, double w, double slope, double states, double inv_states, const Scratch &t) {
  const u64 z = t.stride;
  evaluate(s, weight, w, t);
  double dy1;
  const double y1 = exp_complement(-w, dy1);
  t.term[0] = 0;
  double total = 0, mean = 0;
  for (int j = 0; j <= s.h; j++) {
    total = total + weight[j * z];
    mean = fma_double(s.values[8 * j], t.term[j * z], mean);
  }
  mean = mean * inv_states;
  const double lambda = total * inv_states;
  double eq = 0, ep = 0, sum = 0;
  for (int j = 0; j <= s.h; j++) {
    const int k = s.h - j;
    double y = t.x[k * z], dy = t.d[k * z];
    if (s.odd) {
      dy = fma_double(y, dy1, dy);
      y = y * y1;
    }
    const double count = s.values[8 * j];
    double a = fma_double(-lambda, count, weight[j * z]);
    a = fma_double(-lambda, s.values[8 * j + 5], a + (low ? low[j * z] : 0.0));
    const double b = count * power_complement(0.5 * dy * dy / y, s.n, s.top), d = t.term[j * z] - mean;
    eq = fma_double(a, d, eq);
    ep = fma_double(b, d, ep);
    sum = sum + b;
  }
  ep = ep / (sum + states);
  return w - w * ((eq / total - ep) / (mean + ep)) / slope;
}

// w and slope of n distributions, weight and low (which may be null) [j][n];
// scratch is [3][h + 1][n].
KERNEL(128, 4, roots_newton, const double *weight, const double *low, const double *values, const double *guess, double *scratch, double *w, double *slope, i64 n,
       int m, int units, double mean0, double states, double inv_states, double floor, double limit) {
  const i64 i = (i64)blockIdx.x * 128 + threadIdx.x;
  if (i >= n) return;
  const Size s = {values, m, units, top_bit(units), m / 2, m & 1};
  const u64 part = (u64)(s.h + 1) * n;
  const Scratch t = {scratch + i, scratch + part + i, scratch + 2 * part + i, (u64)n};
  double d, x = newton(s, weight + i, guess, mean0, t, d);
  if (d >= floor && d < limit) x = polish(s, weight + i, low ? low + i : nullptr, x, d, states, inv_states, t);
  w[i] = x, slope[i] = d;
}
