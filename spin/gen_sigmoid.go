//go:build ignore

// Command gen_sigmoid writes sigmoid.bin, the constant table behind Tail:
// entry i is 2³²·σ(−2i/2¹¹) rounded to nearest, little-endian uint32, for
// i = 0 … 12·2¹¹ + 1. It computes with 320-bit floats, so that the bytes do
// not depend on any machine's exp.
package main

import (
	"encoding/binary"
	"log"
	"math/big"
	"os"
)

const (
	prec    = 320
	entries = 12<<11 + 2
)

func main() {
	num := func(x float64) *big.Float { return new(big.Float).SetPrec(prec).SetFloat64(x) }
	// E = exp(2/2¹¹) by its Taylor series.
	step, term, e := num(1.0/1024), num(1), num(1)
	for n := 1; n < 64; n++ {
		term.Mul(term, step)
		term.Quo(term, num(float64(n)))
		e.Add(e, term)
	}
	power, one, half, scale := num(1), num(1), num(0.5), num(1<<32)
	var out []byte
	for range entries {
		s := num(0).Quo(scale, num(0).Add(one, power))
		v, _ := s.Add(s, half).Uint64()
		out = binary.LittleEndian.AppendUint32(out, uint32(v))
		power.Mul(power, e)
	}
	if err := os.WriteFile("sigmoid.bin", out, 0o644); err != nil {
		log.Fatal(err)
	}
}
