package gibbs

import (
	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// The definitions: plain loops, one spin at a time, that the tests hold every
// path against.

// field returns bias + Σ_i W[i][u]·s[i][c] over the blocks and their inputs.
func field(bias []int32, blocks []Block, in []Rows, u, c int) int32 {
	var a int32
	if bias != nil {
		a = bias[u]
	}
	i := 0
	for k := range blocks {
		for l := range blocks[k].In {
			if up(in, i, c) {
				a += blocks[k].at(l, u)
			} else {
				a -= blocks[k].at(l, u)
			}
			i++
		}
	}
	return a
}

// up reports spin i of chain c, counted through all the layers of in.
func up(in []Rows, i, c int) bool {
	for _, r := range in {
		if i < r.N {
			return r.Bits[i*r.Stride+c/64]>>(c%64)&1 != 0
		}
		i -= r.N
	}
	panic("gibbs: spin beyond the last layer")
}

// mixed returns the field that the rule uses for a.
func (r *Rule) mixed(a int32, u int) int32 {
	if !r.Mix.On {
		return a
	}
	var base int32
	if r.Mix.Base != nil {
		base = r.Mix.Base[u]
	}
	return spin.Interpolate(a, base, r.Mix.M)
}

// draw returns the new spin of unit u in chain c for its field.
func (r *Rule) draw(a int32, u, c int) bool {
	x := philox.Draw(r.Key, r.Stream, r.Chain0+uint32(c), r.Unit+uint32(u), r.Sweep)
	return spin.Up(r.mixed(a, u), r.beta(c), r.Frac, x)
}
