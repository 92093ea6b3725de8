// Sweeps of the two-dimensional Ising model in words of 512 tiles, as
// kernels/lattice defines them, 64-bit lane by lane: a thread is one lane of
// one block of rows of one word, with a xoshiro256++ generator of its own.
//
//   spins [word][color][row + 1][column + 1][lane]   rows -1 and height, columns
//                                                    -1 and width / 2 are the halo
//   states [word][block][4][lane]                    of the generators
#include "rule.h"

enum { LANES = 8, GROUP = 8, OWN = 8, PLANES = 16, LATTICE_STREAM = 6, LOW_BITS = 0x80 };

// What lattice jobs are made of; the host writes it.
struct Job {
  u64 wide_x[LANES], wide_y[LANES]; // tiles that have the last columns and rows
  u64 keep_left, keep_right, keep_up, keep_down;
  u64 seed;
  i64 site_width;
  int width, height; // of a tile
  int tiles_x, tiles_y, narrow_x, narrow_y, log_x, log_tiles;
  int blocks, words, replicas; // replicas of a word
  u32 word0;
  int first, held; // replicas
  int plane_stride; // from the planes of a word to the next
};

DEVICE int stride_of(const Job &j) { return (j.width / 2 + 2) * LANES; }
DEVICE i64 start_of(const Job &j, int y) { return (i64)(y + 1) * stride_of(j) + LANES; }
DEVICE i64 size_of(const Job &j) { return (i64)(j.height + 2) * stride_of(j); }
DEVICE u64 rotate(u64 x, int n) { return x << n | x >> (64 - n); }
DEVICE u64 word_pair(const Words &w, u64 odd) { return odd ? (u64)w.w[3] << 32 | w.w[2] : (u64)w.w[1] << 32 | w.w[0]; }

struct Generator {
  u64 s[4];
};
DEVICE u64 draw(Generator &x) {
  const u64 r = rotate(x.s[0] + x.s[3], 23) + x.s[0], t = x.s[1] << 17;
  x.s[2] ^= x.s[0], x.s[3] ^= x.s[1], x.s[1] ^= x.s[2], x.s[0] ^= x.s[3], x.s[2] ^= t;
  x.s[3] = rotate(x.s[3], 45);
  return r;
}

// The replica held that a bit of a lane belongs to; it may not be held.
DEVICE int replica_of(const Job &j, int word, int lane, int bit) {
  return (int)(j.word0 + word) * j.replicas + ((64 * lane + bit) >> j.log_tiles) - j.first;
}

// Whether the rest of U is below that of the threshold, for one spin.
DEVICE bool rest(const Job &j, int word, int lane, int bit, int x, int y, u64 sweep, u64 threshold, int known) {
  const int number = 64 * lane + bit, v = number >> j.log_x & (j.tiles_y - 1), u = number & (j.tiles_x - 1);
  const int over_x = u - (j.tiles_x - j.narrow_x), over_y = v - (j.tiles_y - j.narrow_y);
  const u64 column = (u64)u * j.width - 2 * (over_x > 0 ? over_x : 0) + x, row = (u64)v * j.height - 2 * (over_y > 0 ? over_y : 0) + y;
  const u64 site = row * j.site_width + column;
  const Words w = philox((u32)(j.first + replica_of(j, word, lane, bit)), (u32)(LATTICE_STREAM | LOW_BITS) << 24 | ((u32)(site >> 1) & 0xFFFFFF),
                         sweep | site >> 25 << 48, j.seed);
  return word_pair(w, site & 1) >> known < threshold << known >> known;
}

// The rows of a block, and the bits of a word that are sites.
struct Rows {
  int from, to;
};
DEVICE Rows rows_of(const Job &j, int block) {
  return {(int)((i64)block * j.height / j.blocks), (int)((i64)(block + 1) * j.height / j.blocks)};
}
DEVICE u64 row_mask(const Job &j, u64 valid, int lane, int y) { return j.narrow_y && y >= j.height - 2 ? valid & j.wide_y[lane] : valid; }

// One colour of a sweep; `before` threads are those of other launches.
template <bool HEAT_BATH>
DEVICE void update(const Job &j, u64 *spins, const u64 *valid, const u64 *planes, const u64 *one, const u64 *none, u64 *states, u64 *kept, int color, u64 sweep, i64 before) {
  const i64 thread = before + (i64)blockIdx.x * 128 + threadIdx.x;
  const int lane = (int)(thread & 7), block = (int)((thread >> 3) % j.blocks), word = (int)((thread >> 3) / j.blocks), n = j.width / 2;
  if (word >= j.words) return;
  spins += 2 * word * size_of(j);
  u64 *own = spins + color * size_of(j);
  const u64 *other = spins + (1 - color) * size_of(j);
  states += ((i64)word * j.blocks + block) * 4 * LANES + lane;
  Generator g;
  for (int i = 0; i < 4; i++) {
    if (color) g.s[i] = states[i * LANES];
    else {
      const Words w = philox(j.word0 + word, (u32)LATTICE_STREAM << 24 | (u32)block << 4 | (u32)(lane / 2 * 4 + i), sweep, j.seed);
      g.s[i] = word_pair(w, lane & 1);
    }
  }
  planes += (i64)word * j.plane_stride + lane;
  u64 low[OWN], change[OWN]; // of the thresholds
#pragma unroll
  for (int k = 0; k < OWN; k++) low[k] = planes[2 * k * LANES], change[k] = planes[(2 * k + 1) * LANES];
  u64 *first = kept + threadIdx.x, *second = first + GROUP * 128;
  const int groups = (n + GROUP - 1) / GROUP, stride = stride_of(j);
  const Rows rows = rows_of(j, block);
  for (int y = rows.from; y < rows.to; y++) {
    const bool right = (y + color) & 1;
    const int side = right ? LANES : -LANES;
    const u64 sites = row_mask(j, valid[word * LANES + lane], lane, y);
    const i64 start = start_of(j, y) + lane;
    int at = 0;
    for (int group = 0; group < groups; group++) {
      const int size = n / groups + (group < n % groups);
      u64 any = 0, selected = 0, again = 0;
#pragma unroll 1
      for (int q = 0; q < size; q++) {
        const i64 i = start + (i64)(at + q) * LANES;
        const u64 mask = at + q == n - 1 ? sites & j.wide_x[lane] : sites, s = own[i];
        const u64 a = other[i - stride] ^ s, b = other[i + stride] ^ s, c = other[i] ^ s, d = other[i + side] ^ s;
        const u64 t = a ^ b, sum = t ^ c, carry = (a & b) | (t & c);
        u64 select, sure, two = 0, open;
        if (HEAT_BATH) {
          select = sum ^ d, two = (sum ^ carry) & ~(sum ^ d), sure = carry & (sum | d);
          open = mask & ~two;
        } else {
          select = sum | d, sure = carry | (sum & d);
          open = mask & ~sure;
        }
        u64 less = 0, r = 0;
#pragma unroll
        for (int k = 0; k < OWN; k++) {
          r = draw(g);
          const u64 p = low[k] ^ (select & change[k]), e = p ^ r;
          open &= ~e, less ^= e & (p ^ less);
        }
        less = HEAT_BATH ? ((less ^ sure) & ~two) | (two & ~r) : less | sure;
        own[i] = s ^ (less & mask);
        const u64 fresh = open & ~any, late = open & any;
        first[q * 128] = fresh, second[q * 128] = late;
        again |= late, any |= open, selected |= fresh & select;
      }
      u64 less = 0;
#pragma unroll
      for (int k = OWN; k < PLANES; k++) {
        const u64 r = draw(g), p = planes[2 * k * LANES] ^ (selected & planes[(2 * k + 1) * LANES]), e = p ^ r;
        any &= ~e, less ^= e & (p ^ less);
      }
#pragma unroll 1
      for (int q = 0; q < size; q++) {
        const i64 i = start + (i64)(at + q) * LANES;
        const u64 fresh = first[q * 128], late = second[q * 128];
        u64 flips = fresh & less;
        for (u64 open = again | any ? (fresh & any) | late : 0; open; open &= open - 1) { // rare
          const int bit = first_bit(open);
          const u64 odd = (other[i - stride] ^ other[i + stride] ^ other[i] ^ other[i + side]) >> bit & 1;
          const int replica = replica_of(j, word, lane, bit);
          if (rest(j, word, lane, bit, 2 * (at + q) + right, y, sweep, odd ? one[replica] : none[replica], late >> bit & 1 ? 8 : 16)) flips ^= 1ull << bit;
        }
        own[i] ^= flips;
      }
      at += size;
    }
    // The halo at the sides, and the columns that narrow tiles do not have.
    const i64 end = start + (i64)n * LANES;
    const int back = j.tiles_x - 1;
    if (right) {
      u64 edge = own[end - LANES];
      if (j.narrow_x) edge = (edge & j.wide_x[lane]) | (own[end - 2 * LANES] & ~j.wide_x[lane]);
      own[start - LANES] = (edge << 1 & j.keep_left) | (edge >> back & ~j.keep_left);
    } else {
      const u64 edge = own[start], turned = (edge >> 1 & j.keep_right) | (edge << back & ~j.keep_right);
      own[end] = turned;
      if (j.narrow_x) own[end - LANES] = (own[end - LANES] & j.wide_x[lane]) | (turned & ~j.wide_x[lane]);
    }
  }
  for (int i = 0; i < 4; i++) states[i * LANES] = g.s[i];
}

KERNEL(128, 2, lattice_metropolis, const Job *job, u64 *spins, const u64 *valid, const u64 *planes, const u64 *one, const u64 *none, u64 *states, int color,
       const Clock *clock, u64 ahead, i64 before) {
  SHARED(u64, kept, 2 * GROUP * 128);
  update<false>(*job, spins, valid, planes, one, none, states, kept, color, clock->sweep + ahead, before);
}
KERNEL(128, 2, lattice_heat_bath, const Job *job, u64 *spins, const u64 *valid, const u64 *planes, const u64 *one, const u64 *none, u64 *states, int color,
       const Clock *clock, u64 ahead, i64 before) {
  SHARED(u64, kept, 2 * GROUP * 128);
  update<true>(*job, spins, valid, planes, one, none, states, kept, color, clock->sweep + ahead, before);
}

// The rows of the halo of one colour, and the rows that low tiles do not have;
// a thread is a lane of a column.
KERNEL(128, 4, lattice_ends, const Job *job, u64 *spins, int color) {
  const Job &j = *job;
  const i64 thread = (i64)blockIdx.x * 128 + threadIdx.x;
  const int lane = (int)(thread & 7), n = j.width / 2, column = (int)((thread >> 3) % n), word = (int)((thread >> 3) / n);
  if (word >= j.words) return;
  const int tiles = 1 << j.log_tiles, lanes = tiles < 64 ? 1 : tiles / 64, back = (tiles < 64 ? tiles : 64) - j.tiles_x;
  u64 *x = spins + (2 * word + color) * size_of(j) + (i64)column * LANES;
  auto neighbor = [&](int step) { return lane / lanes * lanes + (lane % lanes + step) % lanes; };
  auto top = [&](int l) {
    const u64 v = x[start_of(j, j.height - 1) + l];
    return j.narrow_y ? (v & j.wide_y[l]) | (x[start_of(j, j.height - 3) + l] & ~j.wide_y[l]) : v;
  };
  x[start_of(j, -1) + lane] = (top(lane) << j.tiles_x & j.keep_up) | (top(neighbor(lanes - 1)) >> back & ~j.keep_up);
  const u64 *bottom = x + start_of(j, 0);
  const u64 turned = (bottom[lane] >> j.tiles_x & j.keep_down) | (bottom[neighbor(1)] << back & ~j.keep_down);
  x[start_of(j, j.height) + lane] = turned;
  if (!j.narrow_y) return;
  u64 *low = x + start_of(j, j.height - 2) + lane;
  *low = (*low & j.wide_y[lane]) | (turned & ~j.wide_y[lane]);
}

enum { DEPTH = 12, MOST = (1 << DEPTH) / 4 - 1 }; // planes of a counter, words that it can count

// Adds one + 2 two + 4 four to a bit-sliced counter.
DEVICE void add_planes(u64 *c, u64 one, u64 two, u64 four) {
  const u64 v[3] = {one, two, four};
  u64 carry = 0;
#pragma unroll
  for (int k = 0; k < 3; k++) {
    const u64 t = c[k] ^ v[k], next = (c[k] & v[k]) | (t & carry);
    c[k] = t ^ carry, carry = next;
  }
  if (!carry) return;
#pragma unroll
  for (int k = 3; k < DEPTH; k++) {
    const u64 next = c[k] & carry;
    c[k] ^= carry, carry = next;
  }
}

// counts[row][0][replica] += antiparallel bonds, counts[row][1][replica] += up
// spins; row is the clock's point.
KERNEL(128, 2, lattice_count, const Job *job, const u64 *spins, const u64 *valid, u64 *counts, const Clock *clock) {
  const Job &j = *job;
  counts += 2 * clock->point * j.held;
  const i64 thread = (i64)blockIdx.x * 128 + threadIdx.x;
  const int lane = (int)(thread & 7), block = (int)((thread >> 3) % j.blocks), word = (int)((thread >> 3) / j.blocks), n = j.width / 2;
  if (word >= j.words) return;
  const u64 *own = spins + 2 * word * size_of(j), *other = own + size_of(j);
  const int stride = stride_of(j), tiles = 1 << j.log_tiles, field = tiles < 64 ? tiles : 64;
  u64 bonds[DEPTH], ups[DEPTH];
  auto clear = [&]() {
#pragma unroll
    for (int k = 0; k < DEPTH; k++) bonds[k] = ups[k] = 0;
  };
  auto flush = [&]() {
    for (int bit = 0; bit < 64; bit += field) {
      const int replica = replica_of(j, word, lane, bit);
      if (replica < 0 || replica >= j.held) continue;
      const u64 mask = ~0ull >> (64 - field) << bit;
      u64 b = 0, u = 0;
#pragma unroll
      for (int k = 0; k < DEPTH; k++) {
        const u64 x = bonds[k] & mask, y = ups[k] & mask;
        b += (u64)(popcount((u32)x) + popcount((u32)(x >> 32))) << k, u += (u64)(popcount((u32)y) + popcount((u32)(y >> 32))) << k;
      }
      add_u64(counts + replica, b), add_u64(counts + j.held + replica, u);
    }
    clear();
  };
  clear();
  int counted = 0;
  const Rows rows = rows_of(j, block);
  for (int y = rows.from; y < rows.to; y++) {
    const u64 sites = row_mask(j, valid[word * LANES + lane], lane, y);
    const int side = y & 1 ? LANES : -LANES;
    const i64 start = start_of(j, y) + lane;
    for (int c = 0; c < n; c++) {
      const i64 i = start + (i64)c * LANES;
      const u64 mask = c == n - 1 ? sites & j.wide_x[lane] : sites, s = own[i];
      const u64 up = (s ^ other[i - stride]) & mask, down = (s ^ other[i + stride]) & mask, near = (s ^ other[i]) & mask, far = (s ^ other[i + side]) & mask;
      const u64 t = up ^ down, sum = t ^ near, carry = (up & down) | (t & near), d = sum & far;
      add_planes(bonds, sum ^ far, carry ^ d, carry & d);
      add_planes(ups, (s ^ other[i]) & mask, s & other[i] & mask, 0);
      if (++counted == MOST) flush(), counted = 0;
    }
  }
  if (counted) flush();
}
