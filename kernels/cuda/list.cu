// Block Gibbs sampling of any units of one colour, by lists of couplings. For
// each chain and each unit u marked in the items:
//
//   a    = bias[u] + sum_{ptr[u] <= k < ptr[u+1]} weight[k] s[unit[k]]
//   a    = interpolate(a, base[u], mix[clock.point])                      if there is a base
//   s[u] = spin.Up(a, beta, frac, draw of u in sweep clock.sweep + ahead)
//
// Units are numbered by their place in the words of spins. A thread is a chain
// and owns a whole word: units of one colour do not hear each other, so what
// others write meanwhile is not what it reads.
//
//   items [item]  word and the bits of the units to update
//   group [word]  Philox block of the word's first unit
#include "rule.h"

struct Item {
  u32 word, units;
};

KERNEL(128, 4, gibbs_list, const Item *items, int count, const int *ptr, const int *unit, const int *weight, const int *bias, const u32 *group,
       const int *base, u32 *spins, const u64 *beta, const u32 *table, int stride, int chains, u32 chain0, u32 stream, u64 seed, const Clock *clock,
       u64 ahead, int frac, const u32 *mix) {
  const int chain = blockIdx.x * 128 + threadIdx.x;
  if (chain >= chains) return;
  const u64 b = beta[chain];
  const float s = slope(b, frac);
  const u64 sweep = clock->sweep + ahead;
  const u32 at = base ? mix[clock->point] : 0;
  for (int i = blockIdx.y; i < count; i += gridDim.y) {
    const u32 word = items[i].word, units = items[i].units;
    u32 bits = 0;
#pragma unroll 1
    for (int octet = 0; octet < 4; octet++) {
      const u32 marked = units >> 8 * octet & 255;
      if (!marked) continue;
      const u32 block = (group[word] + octet) | stream << 24;
      Words hi = philox(chain0 + chain, block, sweep, seed);
#pragma unroll
      for (int j = 0; j < 8; j++) {
        if (!(marked >> j & 1)) continue;
        const u32 u = 32 * word + 8 * octet + j;
        u32 sum = bias[u];
        for (int k = ptr[u]; k < ptr[u + 1]; k++) {
          u32 x = unit[k], w = weight[k];
          sum += spins[(u64)(x >> 5) * stride + chain] >> (x & 31) & 1 ? w : 0u - w;
        }
        int a = (int)sum;
        if (base) a = interpolate(a, base[u], at);
        bool sure = true;
        bool plus = decide(a, hi.w[j / 2], j & 1, s, sure) < 0.0f;
        if (!sure) {
          Words lo = philox(chain0 + chain, block | 1u << 31, sweep, seed);
          plus = up(a, byte_perm(lo.w[j / 2], hi.w[j / 2], j & 1 ? 0x7632 : 0x5410), b, frac, table);
        }
        bits |= (u32)plus << (8 * octet + j);
      }
    }
    u32 *to = spins + (u64)word * stride + chain;
    put_spins((*to & ~units) | bits, to);
  }
}
