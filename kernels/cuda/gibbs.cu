// Half a step of block Gibbs sampling of a dense layer, fused on the tensor
// cores of sm_80 and later. For each chain and each free unit u of the layer:
//
//   a    = bias[u] + sum_i W[i][u] s[i]                 exact, int32
//   fields[u] = a                                       if there is a place
//   a    = interpolate(a, base[u], mix[clock.point])    if there is a base
//   s[u] = spin.Up(a, beta, frac, draw of u in sweep clock.sweep + ahead)
//
// Spins enter as {0,1} and weights as balanced base-256 digits in signed bytes:
//
//   a = (bias - sum_i W) + 2 sum_d 256^d sum_i digit_d[i] bit[i]     (mod 2^32)
//
// by mma.m16n8k32.s8, one set of accumulators a digit. Rows are chains,
// columns are units. A block is 4 warps of 64 chains and 8·NT units. Weights
// and spins stream through a ring of stages of 64 inputs; the ring then turns
// the fields, so that a lane is a chain and one Philox call serves 8 units.
//
// Layouts:
//   spins    [word][chain]    bit of a word = unit of the word, 32 units a word
//   weights  [unit tile][step][digit][NT/2][lane][4]: registers of B fragments
//   from     [step]           word that holds the step's 32 inputs
//   bias     [unit]           bias - sum_i W, whole tiles
//   free     [unit / 16]      bits of the units that may change
// Of 32 inputs, lane quarter q, register h and byte i hold input 8i + 2q + h:
// two operations turn packed spins into a register of a fragment.
#include "gibbs.h"

enum { CHAINS = WARPS * WARP_CHAINS, STAGES = 4 };
enum { SPIN_VECTORS = CHAINS / 4 }; // 16-byte vectors of 32 inputs' spins

// Where the spins of a launch's chains are.
struct Chains {
  const U4 *spins;
  int stride, count;
};

// Means of GROUP units of one chain as three balanced digits, 22 fraction bits.
// to is where the chain's first digit of the first unit goes; the next unit's is
// stride bytes on, the next digit's `places` units on.
DEVICE void sample_means(const int *f, const int *__restrict__ bias, signed char *to, u64 stride, u64 places, bool exists, const Rule &rule, u64 beta) {
#pragma unroll 1
  for (int j = 0; j < GROUP; j++) {
    int m = exists ? mean((int)((u32)bias[j] + 2 * (u32)f[j]), beta, rule.frac, rule.table) : 0;
    for (int d = 0; d < 3; d++, m = (m - (signed char)m) >> 8) to[(d * places + j) * stride] = (signed char)m;
  }
}

// The fields of GROUP units of one chain, a row of chains apart.
DEVICE void store(const int *f, const int *__restrict__ bias, int *to, int stride) {
#pragma unroll 4
  for (int j = 0; j < GROUP; j++) to[(u64)j * stride] = (int)((u32)bias[j] + 2 * (u32)f[j]);
}

template <int DIGITS, int NT> struct Shape {
  enum { W = DIGITS * NT / 2 * 32, STAGE = 2 * (W + SPIN_VECTORS) }; // vectors of 32 inputs' weights, of a stage
  enum { TURN = WARPS * TURN_WORDS / 4, VECTORS = STAGES * STAGE > TURN ? STAGES * STAGE : TURN };
  static_assert(W <= WARPS * 32, "one vector of weights for each thread");
};

// Adds up the fields and calls done(first unit's number, chain, half the field
// less the bias of GROUP units) for every chain of the block and group of units.
template <int DIGITS, int NT, class Done>
DEVICE void half_step(U4 *ring, const U4 *__restrict__ weights, const int *__restrict__ from, Chains chains, int steps, Done done) {
  enum { W = Shape<DIGITS, NT>::W, STAGE = Shape<DIGITS, NT>::STAGE };
  const int tid = threadIdx.x, lane = tid & 31, warp = tid >> 5;
  const int tile = blockIdx.y, first = blockIdx.x * CHAINS;
  const bool active = first + warp * WARP_CHAINS < chains.count;

  auto load = [&](int stage) { // inputs 64·stage to 64·stage + 63
    U4 *to = ring + stage % STAGES * STAGE;
#pragma unroll
    for (int s = 0; s < 2; s++)
      if (2 * stage + s < steps && tid < W) copy_async16(to + s * W + tid, weights + ((u64)tile * steps + 2 * stage + s) * W + tid);
    int s = tid / SPIN_VECTORS, i = tid % SPIN_VECTORS;
    if (2 * stage + s < steps) copy_async16(to + 2 * W + tid, chains.spins + ((u64)from[2 * stage + s] * chains.stride + first) / 4 + i);
    copy_commit();
  };

  int acc[DIGITS][4][NT][4];
  clear(acc);
  auto add = [&](const U4 *stage, int s) { // 32 inputs
    multiply(acc, stage + 2 * W + s * SPIN_VECTORS + warp * (WARP_CHAINS / 4) + 2 * (lane >> 2), stage + s * W + lane);
  };
  auto ready = [&](int i) { // stage i has arrived, and nobody reads the one that the next load overwrites
    copy_wait<STAGES - 2>();
    __syncthreads();
    load(i + STAGES - 1);
    return ring + i % STAGES * STAGE;
  };

  for (int i = 0; i < STAGES - 1; i++) load(i);
  int i = 0;
  for (; i < steps / 2; i++) {
    const U4 *stage = ready(i);
    if (active) {
      add(stage, 0);
      add(stage, 1);
    }
  }
  if (steps & 1) {
    const U4 *stage = ready(i);
    if (active) add(stage, 0);
  }
  __syncthreads(); // the ring has been read: from here on it turns fields
  if (!active) return;

  int *turn = (int *)ring + warp * TURN_WORDS;
#pragma unroll
  for (int p = 0; p < NT / 2; p++) // a group of units at a time
    turned(acc, p, turn, [&](int c, const int *f) { done(tile * (NT / 2) + p, first + warp * WARP_CHAINS + c, f); });
}

#define HALF_STEP(name, digits, nt)                                                                                                       \
  KERNEL(128, 2, name, const U4 *weights, const int *bias, const u16 *free, const int *from, const int *base, const U4 *spins, u16 *out, \
         const u64 *beta, const u32 *table, int steps, int stride, int chains, u32 chain0, u32 block0, u64 seed, const Clock *clock,     \
         u64 ahead, int frac, const u32 *mix, int *fields) {                                                                              \
    SHARED(U4, ring, (Shape<digits, nt>::VECTORS));                                                                                       \
    const Rule rule = {base, table, seed, clock->sweep + ahead, base ? mix[clock->point] : 0, frac};                                      \
    half_step<digits, nt>(ring, weights, from, Chains{spins, stride, chains}, steps, [&](int group, int chain, const int *f) {            \
      if (chain >= chains) return;                                                                                                        \
      const u32 may = free[group];                                                                                                        \
      u32 bits = sample(f, bias + GROUP * group, base ? base + GROUP * group : nullptr, rule, chain0 + chain, block0 + 2 * group,         \
                        beta[chain]);                                                                                                     \
      u16 *to = out + ((u64)(group / 2) * stride + chain) * 2 + group % 2;                                                                \
      if (may != 0xFFFF) bits = (bits & may) | (*to & ~may);                                                                              \
      put_spins(bits, to);                                                                                                                \
      if (fields) store(f, bias + GROUP * group, fields + (u64)GROUP * group * stride + chain, stride);                                   \
    });                                                                                                                                   \
  }
HALF_STEP(gibbs_digits4, 4, 2)
HALF_STEP(gibbs_digits3, 3, 2)
HALF_STEP(gibbs_digits2, 2, 4)

// The same sums, and for each chain and unit the mean tanh(a / T) as spin.Mean:
//
//   means [digit][unit][chain / 32][32]   byte 4 (2q + h) + i of 32 is chain
//                                         8i + 2q + h, as train.cu multiplies them
//
// with as many units as `places`; 0 for chains that do not exist.
#define MEANS(name, digits, nt)                                                                                                           \
  KERNEL(128, 2, name, const U4 *weights, const int *bias, const int *from, const U4 *spins, signed char *means, const u64 *beta,         \
         const u32 *table, int steps, int stride, int chains, int places, int frac) {                                                     \
    SHARED(U4, ring, (Shape<digits, nt>::VECTORS));                                                                                       \
    const Rule rule = {nullptr, table, 0, 0, 0, frac};                                                                                    \
    half_step<digits, nt>(ring, weights, from, Chains{spins, stride, stride}, steps, [&](int group, int chain, const int *f) {            \
      const int byte = 4 * (chain & 7) + (chain >> 3 & 3);                                                                                \
      sample_means(f, bias + GROUP * group, means + (u64)GROUP * group * stride + (chain & ~31) + byte, stride, places, chain < chains,   \
                   rule, beta[chain]);                                                                                                    \
    });                                                                                                                                   \
  }
MEANS(means_digits4, 4, 2)
MEANS(means_digits3, 3, 2)
MEANS(means_digits2, 2, 4)

// The fields themselves, [unit][chain], of whole words of units.
#define FIELDS(name, digits, nt)                                                                                                          \
  KERNEL(128, 2, name, const U4 *weights, const int *bias, const int *from, const U4 *spins, int *fields, int steps, int stride) {        \
    SHARED(U4, ring, (Shape<digits, nt>::VECTORS));                                                                                       \
    half_step<digits, nt>(ring, weights, from, Chains{spins, stride, stride}, steps, [&](int group, int chain, const int *f) {            \
      store(f, bias + GROUP * group, fields + (u64)GROUP * group * stride + chain, stride);                                               \
    });                                                                                                                                   \
  }
FIELDS(fields_digits4, 4, 2)
FIELDS(fields_digits3, 3, 2)
FIELDS(fields_digits2, 2, 4)
