// Package gibbs is the product of a ±1 matrix with an int32 matrix, and what
// block Gibbs sampling makes of it: new spins, fields, conditional means, and
// the moments that training needs.
//
// Spins are bits, 1 for +1, in rows of 64-bit words: one row a unit, one bit a
// chain. A half step takes the rows of one layer to the rows of the next:
//
//	for u in units, c in chains:
//	    a = bias[u] + Σ_i W[i][u]·s[i][c]
//	    U = philox.Draw(key, stream, chain0+c, unit0+u, sweep)
//	    out[u][c] = spin.Up(a, β[c], frac, U)
//
// The sums are int32: partial sums may wrap, the final one must not, so
// |bias[u]| + Σ_i |W[i][u]| < 2³¹ is the caller's to see to (fixed-point
// networks of package spin are made so). Within that bound every path gives
// the same bits.
//
// A ±1 operand turns multiplication into table look-up: with 2W and
// bias − ΣW a group of spins is an index into a table of sums. For gives the
// paths: plain Go with tables of 8 spins in memory, AVX2 and NEON with tables
// of 6 in L1, AVX-512 with tables of 5 in two registers. docs/kernels/gibbs.md
// has the layouts and the measurements.
package gibbs
