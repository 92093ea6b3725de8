// Random numbers and the acceptance rule of package spin on the device.
#pragma once
#include "device.h"

enum { SATURATED = 12 << 24, TABLE_SHIFT = 24 - 11 };

// A draw's high 16 bits decide where they leave this many 2^-16 to the
// threshold: half of one is the width of the draw itself, the rest covers the
// approximate exponential and the rounding of single precision.
#ifndef FILTER_SLACK
#define FILTER_SLACK 1.0f
#endif

struct Words {
  u32 w[4];
};

// What a graph of launches finds other at every launch of its own: the number
// of the sweep, and of the point of a path or the row of a record, from which
// its launches count. The last of them moves it on.
struct Clock {
  u64 sweep, point;
};

// Philox4x32-10 of the counter (c0, c1, sweep).
DEVICE Words philox(u32 c0, u32 c1, u64 sweep, u64 seed) {
  u32 c2 = (u32)sweep, c3 = (u32)(sweep >> 32), k0 = (u32)seed, k1 = (u32)(seed >> 32);
#pragma unroll
  for (int r = 0; r < 10; r++) {
    u64 p = (u64)0xD2511F53u * c0, q = (u64)0xCD9E8D57u * c2;
    c0 = (u32)(q >> 32) ^ c1 ^ k0, c1 = (u32)q;
    c2 = (u32)(p >> 32) ^ c3 ^ k1, c3 = (u32)p;
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// What the units of a launch share.
struct Rule {
  const int *base; // second bias vector, or null
  const u32 *table;
  u64 seed, sweep;
  u32 mix;
  int frac;
};

// spin.Interpolate, for a field and its unit's second bias.
DEVICE int interpolate(int a, int base, u32 mix) {
  return (int)(((i64)a * mix + (i64)base * (0x1000000 - (i64)mix) + 0x800000) >> 24);
}

// spin.Tail of spin.ScaledField. T = 0 comes as beta = 2^64 - 1: |a| beta wraps
// to -|a|, which is beyond saturation for every a but 0.
DEVICE u64 tail(int a, u64 beta, int frac, const u32 *__restrict__ table) {
  u64 m = a < 0 ? 0u - (u32)a : (u32)a, x = m * beta >> frac;
  if (x > SATURATED) x = SATURATED;
  u32 i = (u32)(x >> TABLE_SHIFT), f = (u32)x & ((1 << TABLE_SHIFT) - 1);
  u64 t0 = table[i], t1 = table[i + 1];
  return t0 - ((t0 - t1) * f >> TABLE_SHIFT);
}

// spin.Up.
DEVICE bool up(int a, u32 draw, u64 beta, int frac, const u32 *__restrict__ table) {
  u64 s = tail(a, beta, frac, table);
  return draw < (a < 0 ? s : (1ull << 32) - s);
}

// spin.Mean.
DEVICE int mean(int a, u64 beta, int frac, const u32 *__restrict__ table) {
  int m = (1 << 22) - (int)((tail(a, beta, frac, table) + 256) >> 9);
  return a < 0 ? -m : m;
}

// What takes a field to the exponent of decide: -2 log2(e) / (T 2^frac).
DEVICE float slope(u64 beta, int frac) {
  return -(float)beta * (2.8853900817779268f * as_float((u32)(103 - frac) << 23));
}

// The same decision from the draw's high 16 bits, half `high` of a word: the
// spin is +1 where the result is negative. Clears sure where they do not
// suffice. u < 2^16 / (1 + e) with e = exp(-2 a / T) is u e + (u - 2^16) < 0.
DEVICE float decide(int a, u32 word, int high, float slope, bool &sure) {
  float e = exp2_approx(min_float((float)a * slope, 40.0f));
  float u = as_float(byte_perm(word, 0x4B000000u, high ? 0x7632 : 0x7610)) - 8388607.5f; // u + 1/2, exactly
  float d = fma_float(u, e, u - 65536.0f);
  sure &= abs_float(d) > (e + 1.0f) * FILTER_SLACK;
  return d;
}
