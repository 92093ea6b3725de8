// Sweeps of a small network of dense layers, many in one launch: chains do not
// hear each other, so that a block keeps all spins of 64 chains in shared memory
// and does by itself what gibbs.cu does in a launch for each layer.
//
//   for each sweep from clock.sweep + ahead on, `sweeps` of them
//     for each layer in order
//       s[u] of its units as in gibbs.cu
//
// A warp takes every fourth tile of a layer, for all 64 chains. Weights stay
// where they are: a multiprocessor's blocks find them in its cache.
#include "gibbs.h"

enum { MOST_WORDS = 32 }; // of spins of a chain

// A layer; weights, bias, free and from as in gibbs.cu.
struct Layer {
  const U4 *weights;
  const int *bias;
  const u16 *free;
  const int *from;
  const int *base; // or null
  int steps, tiles;
  int word; // its first
  u32 block0;
};

template <int DIGITS, int NT>
DEVICE void sweep_chains(u32 *shared, const Layer *__restrict__ layers, int count, u32 *spins, int words, const u64 *beta, int stride, int chains, u32 chain0,
                         int sweeps, Rule rule) {
  enum { W = DIGITS * NT / 2 * 32 }; // vectors of 32 inputs' weights
  const int tid = threadIdx.x, lane = tid & 31, warp = tid >> 5, first = blockIdx.x * WARP_CHAINS;
  u32 *own = shared; // [word][chain]
  int *turn = (int *)shared + MOST_WORDS * WARP_CHAINS + warp * TURN_WORDS;
  for (int i = tid; i < words * WARP_CHAINS; i += 32 * WARPS) own[i] = spins[(u64)(i / WARP_CHAINS) * stride + first + i % WARP_CHAINS];
  __syncthreads(); // the spins are there
#pragma unroll 1
  for (int n = 0; n < sweeps; n++, rule.sweep++) {
#pragma unroll 1
    for (int l = 0; l < count; l++) {
      const Layer &y = layers[l];
#pragma unroll 1
      for (int tile = warp; tile < y.tiles; tile += WARPS) {
        int acc[DIGITS][4][NT][4];
        clear(acc);
        const U4 *weights = y.weights + (u64)tile * y.steps * W + lane;
#pragma unroll 1
        for (int i = 0; i < y.steps; i++, weights += W) multiply(acc, (const U4 *)(own + y.from[i] * WARP_CHAINS) + 2 * (lane >> 2), weights);
#pragma unroll
        for (int p = 0; p < NT / 2; p++) {
          const int group = tile * (NT / 2) + p;
          const u32 may = y.free[group];
          turned(acc, p, turn, [&](int c, const int *f) {
            const int chain = first + c;
            if (chain >= chains) return;
            u32 bits = sample(f, y.bias + GROUP * group, y.base ? y.base + GROUP * group : nullptr, rule, chain0 + chain, y.block0 + 2 * group, beta[chain]);
            u16 *to = (u16 *)(own + (y.word + group / 2) * WARP_CHAINS + c) + group % 2;
            if (may != 0xFFFF) bits = (bits & may) | (*to & ~may);
            *to = (u16)bits;
          });
        }
      }
      __syncthreads(); // the layer is whole, and has been read
    }
  }
  for (int i = tid; i < words * WARP_CHAINS; i += 32 * WARPS) put_spins(own[i], &spins[(u64)(i / WARP_CHAINS) * stride + first + i % WARP_CHAINS]);
}

#define SWEEPS(name, digits, nt, blocks)                                                                                                         \
  KERNEL(128, blocks, name, const Layer *layers, int count, u32 *spins, int words, const u64 *beta, const u32 *table, int stride, int chains,     \
         u32 chain0, u64 seed, const Clock *clock, u64 ahead, int sweeps, int frac, const u32 *mix) {                                         \
    SHARED(u32, shared, MOST_WORDS *WARP_CHAINS + WARPS * TURN_WORDS);                                                                        \
    const Rule rule = {nullptr, table, seed, clock->sweep + ahead, mix ? mix[clock->point] : 0, frac};                                        \
    sweep_chains<digits, nt>(shared, layers, count, spins, words, beta, stride, chains, chain0, sweeps, rule);                               \
  }
SWEEPS(sweeps_digits4, 4, 2, 2)
SWEEPS(sweeps_digits3, 3, 2, 3)
SWEEPS(sweeps_digits2, 2, 4, 2)
