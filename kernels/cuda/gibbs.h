// What the kernels of block Gibbs sampling of dense layers share: the product of
// a warp, 64 chains by 8·NT units, and what becomes of its fields. Layouts are
// those of gibbs.cu.
#pragma once
#include "rule.h"

enum { WARPS = 4, WARP_CHAINS = 64, GROUP = 16 };

// New spins of GROUP units of one chain; f holds half their fields less bias.
// block is the counter word of the first unit's Philox block.
DEVICE u32 sample(const int *f, const int *__restrict__ bias, const int *__restrict__ base, const Rule &rule, u32 chain, u32 block, u64 beta) {
  const float s = slope(beta, rule.frac);
  u32 out = 0;
#pragma unroll
  for (int b = 1; b >= 0; b--) {
    Words hi = philox(chain, block + b, rule.sweep, rule.seed);
    int a[8];
#pragma unroll
    for (int j = 0; j < 8; j += 4) {
      U4 x = *(const U4 *)(f + 8 * b + j);
#pragma unroll
      for (int k = 0; k < 4; k++) a[j + k] = (int)((u32)bias[8 * b + j + k] + 2 * x[k]);
    }
    if (base) {
#pragma unroll
      for (int j = 0; j < 8; j++) a[j] = interpolate(a[j], base[8 * b + j], rule.mix);
    }
    bool sure = true;
    u32 bits = 0;
#pragma unroll
    for (int j = 7; j >= 0; j--) bits = shift_in_sign(bits, decide(a[j], hi.w[j / 2], j & 1, s, sure));
    if (!sure) { // about 2 draws in 65536
      Words lo = philox(chain, (block + b) | 1u << 31, rule.sweep, rule.seed);
      bits = 0;
#pragma unroll 1
      for (int j = 0; j < 8; j++) {
        u32 h = j < 4 ? (j < 2 ? hi.w[0] : hi.w[1]) : (j < 6 ? hi.w[2] : hi.w[3]);
        u32 l = j < 4 ? (j < 2 ? lo.w[0] : lo.w[1]) : (j < 6 ? lo.w[2] : lo.w[3]);
        int x = (int)((u32)bias[8 * b + j] + 2 * (u32)f[8 * b + j]);
        if (base) x = interpolate(x, base[8 * b + j], rule.mix);
        bits |= (u32)up(x, byte_perm(l, h, j & 1 ? 0x7632 : 0x5410), beta, rule.frac, rule.table) << j;
      }
    }
    out = out << 8 | bits;
  }
  return out;
}

// A chain's row in the turning buffer: the pad and the shift of odd groups of
// 8 keep both directions free of bank conflicts.
DEVICE int row(int chain) { return chain * (GROUP + 4) + (chain >> 3) * 16; }
enum { TURN_WORDS = 63 * (GROUP + 4) + 7 * 16 + GROUP };

// acc += the product of 32 inputs. spins are those of the lane's 8 chains, from
// chain 8·(lane / 4) on; weights the lane's first vector of the step.
template <int DIGITS, int NT> DEVICE void multiply(int (&acc)[DIGITS][4][NT][4], const U4 *spins, const U4 *weights) {
  const int q = threadIdx.x & 3;
  U4 bits[2] = {spins[0], spins[1]}; // chains 8g to 8g + 7
  u32 a[4][4];
#pragma unroll
  for (int m = 0; m < 4; m++) // rows g and g + 8 of tile m are chains 8g + 2m and 8g + 2m + 1
#pragma unroll
    for (int h = 0; h < 2; h++) {
      u32 x = bits[m / 2][m % 2 * 2 + h] >> 2 * q;
      a[m][h] = x & 0x01010101u, a[m][2 + h] = x >> 1 & 0x01010101u;
    }
#pragma unroll
  for (int d = 0; d < DIGITS; d++)
#pragma unroll
    for (int p = 0; p < NT / 2; p++) {
      U4 w = weights[(d * (NT / 2) + p) * 32];
#pragma unroll
      for (int m = 0; m < 4; m++) {
        mma_s8(acc[d][m][2 * p], a[m], w[0], w[1]);
        mma_s8(acc[d][m][2 * p + 1], a[m], w[2], w[3]);
      }
    }
}

template <int DIGITS, int NT> DEVICE void clear(int (&acc)[DIGITS][4][NT][4]) {
#pragma unroll
  for (int i = 0; i < DIGITS * 4 * NT * 4; i++) (&acc[0][0][0][0])[i] = 0;
}

// Puts the sums of group p of a warp's units into its turning buffer, half the
// fields less the bias, and calls done(chain, of the warp, its row) for each.
template <int DIGITS, int NT, class Done> DEVICE void turned(int (&acc)[DIGITS][4][NT][4], int p, int *turn, Done done) {
  const int lane = threadIdx.x & 31, g = lane >> 2, q = lane & 3;
#pragma unroll
  for (int m = 0; m < 4; m++)
#pragma unroll
    for (int h = 0; h < 2; h++) {
      U4 s;
#pragma unroll
      for (int k = 0; k < 4; k++) { // unit 4q + k
        u32 x = acc[DIGITS - 1][m][2 * p + k / 2][2 * h + k % 2];
#pragma unroll
        for (int d = DIGITS - 2; d >= 0; d--) x = (x << 8) + acc[d][m][2 * p + k / 2][2 * h + k % 2];
        s[k] = x;
      }
      *(U4 *)(turn + row(8 * g + 2 * m + h) + 4 * q) = s;
    }
  sync_warp();
#pragma unroll 1
  for (int c = lane; c < WARP_CHAINS; c += 32) done(c, turn + row(c));
  sync_warp();
}
