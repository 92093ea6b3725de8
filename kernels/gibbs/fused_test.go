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

// BothMeans gives what Means and StepMeans give by themselves, for any numbers
// of chains, in pieces that share an Epoch, and where it falls back to them.
func TestBothMeans(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernel) {
		r := rand.New(rand.NewPCG(33, 34))
		sc := NewScratch()
		epoch := uint64(0)
		for _, sh := range []shape{{[]int{7}, 3, 100}, {[]int{31}, 83, 100}, {[]int{64}, 40, 36}, {[]int{13, 5}, 97, 577}, {[]int{11}, 47, 1000}} {
			for _, others := range []int{1, 33, 64, 100, 127, 450} {
				p := newProblem(r, sh, 1<<22)
				p.pack(k)
				s := &p.step
				s.Word0 = s.Word1 / 3
				other := *s
				other.In = nil
				for _, in := range s.In {
					other.In = append(other.In, randomRows(r, in.N, others))
				}
				other.Chains, other.Word0, other.Word1, other.Beta = others, 0, (others+63)/64, betaOf(t, 2)
				if r.IntN(2) == 0 {
					other.Word0 = other.Word1 - 1
				}
				stride := max(64*s.Word1, 64*other.Word1) + 3
				blank := slices.Repeat([]int32{77}, sh.out*stride)
				wantBefore, want := slices.Clone(blank), slices.Clone(blank)
				k.Means(wantBefore, stride, &other, sc)
				k.Means(want, stride, s, sc)

				before, dst := slices.Clone(blank), slices.Clone(blank)
				got := *s
				got.Out.Bits = slices.Clone(s.Out.Bits)
				epoch++
				got.Epoch, other.Epoch = epoch, epoch
				for u := 0; u < sh.out; u += UnitBlock {
					got.Unit0, got.Unit1 = u, min(sh.out, u+UnitBlock)
					other.Unit0, other.Unit1 = got.Unit0, got.Unit1
					k.BothMeans(before, &other, dst, &got, stride, sc)
				}
				if !slices.Equal(before, wantBefore) || !slices.Equal(dst, want) || !slices.Equal(got.Out.Bits, p.want()) {
					t.Fatalf("%v beside %d chains: BothMeans differs from Means and StepMeans", sh, others)
				}
			}
		}
	})
}
