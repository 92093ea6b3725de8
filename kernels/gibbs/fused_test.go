package gibbs

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// StepMeans and StepFields give what Step, Means and Fields give by themselves,
// the fields without Mix, and touch nothing else.
func TestFused(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernel) {
		r := rand.New(rand.NewPCG(31, 32))
		sc := NewScratch()
		for i, sh := range shapes {
			p := newProblem(r, sh, 1<<22)
			p.pack(k)
			s := &p.step
			s.Beta = betaOf(t, temperatures[i%len(temperatures)])
			s.Word0 = s.Word1 / 2
			stride := 64*s.Word1 + 3
			blank := slices.Repeat([]int32{77}, sh.out*stride)
			means, fields := slices.Clone(blank), slices.Clone(blank)
			k.Means(means, stride, s, sc)
			k.Fields(fields, stride, s, sc)
			for _, mix := range []Mix{{}, {On: true, M: 12345678}} {
				s.Mix = mix
				want := p.want()
				got := *s
				got.Out.Bits = slices.Clone(s.Out.Bits)
				dst := slices.Clone(blank)
				k.StepFields(dst, stride, &got, sc)
				if !slices.Equal(dst, fields) || !slices.Equal(got.Out.Bits, want) {
					t.Fatalf("%v, mix %v: StepFields differs from Fields and Step", sh, mix.On)
				}
			}
			s.Mix = Mix{}
			got := *s
			got.Out.Bits = slices.Clone(s.Out.Bits)
			dst := slices.Clone(blank)
			k.StepMeans(dst, stride, &got, sc)
			if !slices.Equal(dst, means) || !slices.Equal(got.Out.Bits, p.want()) {
				t.Fatalf("%v: StepMeans differs from Means and Step", sh)
			}
		}
	})
}
