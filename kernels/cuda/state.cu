// Spins of all chains: how they start, and the way between the two layouts; and
// the clock of a graph.
//
//   spins [word][chain]        a word is 32 units of one chain
//   rows  [unit][chain / 32]   a word is 32 chains of one unit
#include "rule.h"

// Fair coins: s[u] = +1 when the draw of u is below 2^31. valid[word] marks the
// units that exist; the others stay 0.
KERNEL(128, 4, toss_coins, u32 *spins, const u32 *valid, const u32 *group, u32 words, int stride, int chains, u32 chain0, u32 stream, u64 seed,
       u64 sweep) {
  const int chain = blockIdx.x * 128 + threadIdx.x;
  if (chain >= chains) return;
  for (u32 word = blockIdx.y; word < words; word += gridDim.y) {
    u32 bits = 0;
#pragma unroll
    for (int octet = 0; octet < 4; octet++) {
      Words hi = philox(chain0 + chain, (group[word] + octet) | stream << 24, sweep, seed);
#pragma unroll
      for (int j = 0; j < 8; j++) bits |= (~hi.w[j / 2] >> (j & 1 ? 31 : 15) & 1) << (8 * octet + j);
    }
    spins[(u64)word * stride + chain] = bits & valid[word];
  }
}

// Transposes 32×32 bits: bit b of lane l becomes bit l of lane b.
DEVICE u32 transpose(u32 x, int lane) {
  u32 low = 0x0000FFFFu; // bits whose number has the exchanged bit clear
#pragma unroll
  for (int j = 16; j; j >>= 1) {
    u32 y = shuffle_xor(x, j);
    x = lane & j ? (x & ~low) | (y >> j & low) : (x & low) | (y << j & ~low);
    low ^= low << (j >> 1);
  }
  return x;
}

// rows from spins; chains that do not exist become 0. A warp is 32 chains.
KERNEL(128, 4, spins_to_rows, const u32 *spins, u32 *rows, u32 words, int stride, int chains) {
  const int lane = threadIdx.x & 31, block = blockIdx.x * 4 + (threadIdx.x >> 5), chain = 32 * block + lane;
  for (u32 word = blockIdx.y; word < words; word += gridDim.y) {
    u32 x = chain < chains ? spins[(u64)word * stride + chain] : 0;
    rows[(u64)(32 * word + lane) * (stride / 32) + block] = transpose(x, lane);
  }
}

// spins from rows.
KERNEL(128, 4, rows_to_spins, const u32 *rows, u32 *spins, u32 words, int stride) {
  const int lane = threadIdx.x & 31, block = blockIdx.x * 4 + (threadIdx.x >> 5);
  for (u32 word = blockIdx.y; word < words; word += gridDim.y) {
    u32 x = rows[(u64)(32 * word + lane) * (stride / 32) + block];
    spins[(u64)word * stride + 32 * block + lane] = transpose(x, lane);
  }
}

// Moves a clock on, after the launches that read it; a block is enough.
KERNEL(32, 1, advance_clock, Clock *clock, u64 sweeps, u64 points) {
  if (threadIdx.x) return;
  clock->sweep += sweeps, clock->point += points;
}
