// Package lattice sweeps the two-dimensional Ising model on the square lattice
// with the checkerboard order, 512 spins to a word.
//
// # Words
//
// A word is 512 bits, kept as eight uint64 lanes; bit b stands for the b-th of
// 512 tiles, rectangles of w×h sites (w, h even) that lie side by side in one
// lattice, belong to different replicas, or both, as the job's geometry says. Word
// (x, y) holds site (x, y) of every tile. All four neighbours of a word's
// sites are therefore whole words, and a bit is moved only into the halo that
// surrounds a tile. A colour c of the checkerboard keeps its words row by row:
// word i of row y is x = 2i + ((y+c) mod 2).
//
// # The definition of an update
//
// A spin with n antiparallel neighbours flips when a uniform 64-bit number U
// is below the threshold ⌊2⁶⁴p⌋, or 2⁶⁴ − 1 for p = 1:
//
//	Metropolis: p = 1 for n ≥ 2, e^{−4/T} for n = 1, e^{−8/T} for n = 0
//	heat bath:  p = 1/(1 + e^{(8−4n)/T})
//
// so p is right to 2⁻⁶⁴. For heat bath with n ≥ 3 the spin flips when U is not
// below the threshold of 4 − n, and with n = 2 when U's first bit is 0.
//
// U is made of bit planes of random words. Rows are cut into groups of at
// most eight consecutive words, as even as possible. Each word of a group
// draws eight planes of its own, the first eight bits of U, the least
// significant first; then the group draws eight more, the next eight bits,
// again the least significant first. In each of the 512 bit positions these
// belong to the first word of the group whose eight bits of U equal the
// threshold's there. What is then still undecided (the spin was not the first
// of its group in that position, or all sixteen bits were equal) takes the
// rest of its U, 56 or 48 bits, from the high bits of a Philox block of its
// own (Rest). So every spin has its own 64 bits, whatever its neighbours,
// the other replicas and the order of the work; a group of eight words always
// draws exactly 72 words, nine to each.
//
// # The generator
//
// The planes come from xoshiro256++ (D. Blackman, S. Vigna, ACM Trans. Math.
// Softw. 47 (2021) 36), one generator in each of the eight 64-bit lanes,
// seeded by Philox4x32-10 for each block of rows and sweep (Seed). Colour 0 of
// the block draws first, then colour 1, rows and words upward. Chosen over the
// alternatives because
//
//   - it is nine vector instructions for 512 bits with AVX-512 and fourteen for
//     256 with AVX2; Philox needs more than three times as many, which would
//     make the whole sweep less than half as fast;
//   - it needs 64-bit adds, shifts and exclusive or only, so it runs on every
//     CPU and, one lane a thread, on a GPU. AES rounds (ARS-5) are as fast
//     where VAES is, but are table look-ups in plain Go and on a GPU;
//   - seeding it anew for every sweep leaves no state behind: a checkpoint
//     holds spins, temperatures and the number of the sweep. Seeds cost two
//     percent of the sweep of a large lattice;
//   - the number of draws is fixed, so which planes a spin sees does not
//     depend on threads, on how replicas are split or on other spins.
//
// 2²⁵⁶ states against a few thousand draws from each seed make overlaps of
// streams impossible in practice. docs/kernels/lattice.md has the results of
// batteries of statistical tests in the order of this definition.
package lattice
