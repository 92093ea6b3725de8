// Checkerboard Metropolis sweeps of the two-dimensional Ising model, periodic,
// 64 spins of one colour to a word: two half lattices of L rows of L/2 bits.
// A bit is 1 with probability p = e^(-4/T), to 24 binary digits, by a chain of
// AND and OR over random words; eight generators fill one vector register.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <omp.h>
#include <vector>

typedef uint64_t u64;
constexpr int lanes = 8, digits = 24;
typedef u64 vec __attribute__((vector_size(8 * lanes)));

struct Generator {  // xoshiro256+
	vec a, b, c, d;
	vec next() {
		vec out = a + d, t = b << 17;
		c ^= a;
		d ^= b;
		b ^= c;
		a ^= d;
		c ^= t;
		d = (d << 45) | (d >> 19);
		return out;
	}
};

struct Lattice {
	int side, words, threads;
	std::vector<u64> colour[2];
	std::vector<Generator> generators;
	int bit[digits], first;  // binary digits of p, lowest first, from the first that is 1

	vec coin(Generator &g) const {
		vec m = {};
		for (int k = first; k < digits; k++) {
			vec w = g.next();
			if (bit[k]) m |= w;
			else m &= w;
		}
		return m;
	}

	void row(u64 *x, const u64 *y, const u64 *up, const u64 *down, bool right, Generator &generator) const {
		Generator g = generator;
		for (int from = 0; from < words; from += lanes) {
			vec one = coin(g), two = coin(g);
			int n = words - from < lanes ? words - from : lanes;
			for (int i = 0; i < n; i++) {
				int j = from + i;
				u64 side = right ? y[j] >> 1 | y[j + 1 < words ? j + 1 : 0] << 63
				                 : y[j] << 1 | y[j > 0 ? j - 1 : words - 1] >> 63;
				// neighbours that are aligned, added up in bits
				u64 a = ~(x[j] ^ y[j]), b = ~(x[j] ^ side), c = ~(x[j] ^ up[j]), d = ~(x[j] ^ down[j]);
				u64 ab = a ^ b, both = a & b, cd = c ^ d, rest = c & d;
				u64 all = both & rest, three = both & cd | rest & ab;
				x[j] ^= ~(all | three) | three & one[i] | all & one[i] & two[i];
			}
		}
		generator = g;
	}

	void sweep(int n) {
#pragma omp parallel num_threads(threads)
		{
			Generator g = generators[omp_get_thread_num()];
			for (int k = 0; k < 2 * n; k++) {
				int c = k & 1;
				u64 *x = colour[c].data();
				const u64 *y = colour[1 - c].data();
#pragma omp for schedule(static)
				for (int i = 0; i < side; i++) {
					const u64 *up = y + (size_t)((i + side - 1) % side) * words, *down = y + (size_t)((i + 1) % side) * words;
					row(x + (size_t)i * words, y + (size_t)i * words, up, down, (i & 1) != c, g);
				}
			}
			generators[omp_get_thread_num()] = g;
		}
	}

	int spin(int i, int j) const {
		i = (i + side) % side, j = (j + side) % side;
		return colour[(i + j) & 1][(size_t)i * words + j / 128] >> (j / 2 % 64) & 1 ? 1 : -1;
	}
};

extern "C" {
Lattice *lattice_new(int side, double temperature, int threads, uint64_t seed) {
	Lattice *l = new Lattice;
	l->side = side, l->words = side / 128, l->threads = threads;
	for (auto &c : l->colour) c.assign((size_t)side * l->words, ~0ull);
	u64 p = llround(std::exp(-4 / temperature) * (1 << digits));
	for (int k = 0; k < digits; k++) l->bit[k] = p >> k & 1;
	for (l->first = 0; l->first < digits && !l->bit[l->first];) l->first++;
	auto split = [&seed] {  // splitmix64
		u64 x = seed += 0x9e3779b97f4a7c15ull;
		x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
		x = (x ^ x >> 27) * 0x94d049bb133111ebull;
		return x ^ x >> 31;
	};
	l->generators.resize(threads);
	for (auto &g : l->generators)
		for (int i = 0; i < lanes; i++) g.a[i] = split(), g.b[i] = split(), g.c[i] = split(), g.d[i] = split();
	return l;
}
void lattice_free(Lattice *l) { delete l; }
void lattice_sweep(Lattice *l, int n) { l->sweep(n); }
double lattice_energy(const Lattice *l) {
	double e = 0;
	for (int i = 0; i < l->side; i++)
		for (int j = 0; j < l->side; j++) e -= l->spin(i, j) * (l->spin(i + 1, j) + l->spin(i, j + 1));
	return e / ((double)l->side * l->side);
}
}
