package gibbs

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"kadanoff/kernels/isa"
)

// thin turns most of the bits of rows off: a share of at most 1/of stays up,
// none where of is 0; every fifth row is dark.
func thin(r *rand.Rand, rows Rows, of int) {
	for i := range rows.Bits {
		keep := uint64(0)
		for b := range 64 {
			if of > 0 && r.IntN(of) == 0 && i/rows.Stride%5 != 3 {
				keep |= 1 << b
			}
		}
		rows.Bits[i] &= keep
	}
}

// Any share of inputs may be up: steps, means and fields of Few are those of
// the definition, over more pairs of inputs than a table holds.
func TestFew(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernel) {
		r := rand.New(rand.NewPCG(41, 42))
		sc := NewScratch()
		for _, sh := range []shape{{[]int{1}, 1, 1}, {[]int{31, 33}, 17, 64}, {[]int{127}, 81, 100}, {[]int{611}, 16, 70}, {[]int{300, 7, 244}, 161, 37}} {
			for _, of := range []int{0, 1, 2, 7, 40} {
				p := newProblem(r, sh, 1<<22)
				for _, in := range p.step.In {
					thin(r, in, of)
				}
				p.pack(k)
				p.check(t, k, sc, fmt.Sprint("one of ", of, " up"))
			}
		}
	})
}

// SpinMeans at any density, with Few and without.
func TestSpinMeansFew(t *testing.T) {
	k := For(isa.AVX512)
	few := k.Few()
	if few == nil {
		t.Skip("no path for few inputs that are up")
	}
	if few.Level() != k.Level() || few.Few() != few {
		t.Errorf("Few is of %v", few.Level())
	}
	r := rand.New(rand.NewPCG(43, 44))
	for _, of := range []int{0, 1, 3, 20} {
		const units, chains = 83, 230
		v := randomRows(r, 97, chains)
		thin(r, v, of)
		m := make([]int32, units*256)
		for i := range m {
			m[i] = r.Int32N(1 << 22)
		}
		var got [2][]int32
		for i, k := range []*Kernel{k, few} {
			got[i] = make([]int32, 97*units)
			k.SpinMeans(got[i], units, v, m, 256, 0, units, 0, 4, chains, 100, NewScratch())
		}
		if !slices.Equal(got[0], got[1]) {
			t.Errorf("one of %d up: sums differ", of)
		}
	}
}

// Weights converted to the other layout and back are what they were.
func TestConvert(t *testing.T) {
	k := For(isa.AVX512)
	few := k.Few()
	if few == nil {
		t.Skip("no path for few inputs that are up")
	}
	r := rand.New(rand.NewPCG(47, 48))
	sc := NewScratch()
	for _, sh := range []shape{{[]int{1}, 1, 5}, {[]int{17, 9}, 83, 70}, {[]int{33}, 40, 100}} {
		p := newProblem(r, sh, 1<<22)
		p.pack(k)
		w := p.step.Weights
		p.step.Weights = few.Convert(w)
		p.check(t, few, sc, "converted")
		still := k.Still()
		p.step.Weights = still.Convert(p.step.Weights)
		p.check(t, still, sc, "converted again")
		back := k.Convert(p.step.Weights)
		if !slices.Equal(back.data, w.data) || !slices.Equal(back.offset, w.offset) {
			t.Errorf("%v: weights have changed on the way and back", sh)
		}
	}
}

// The estimates that choose between the two know dense inputs from dark ones.
func TestFewGain(t *testing.T) {
	r := rand.New(rand.NewPCG(45, 46))
	for _, chains := range []int{64, 200, 1000} {
		in := Chains{Rows: randomRows(r, 784, chains), Word1: (chains + 63) / 64}
		dense, denseMeans := FewGain(500, in), FewMeansGain(in.Rows, 500, 0, 1, 64)
		thin(r, in.Rows, 10)
		sparse, sparseMeans := FewGain(500, in), FewMeansGain(in.Rows, 500, 0, 1, 64)
		if dense > 0 || denseMeans > 0 || sparse < 0 || sparseMeans < 0 {
			t.Errorf("%d chains: gains of %.3g and %.3g with half of the inputs up, %.3g and %.3g with one of twenty", chains, dense, denseMeans, sparse, sparseMeans)
		}
	}
	if FewPackGain(784, 500) <= 0 {
		t.Error("no gain in packing")
	}
}

// Few chains with weights as they are and with tables half of which are ready.
func BenchmarkStill(b *testing.B) {
	eachLevelB(b, func(b *testing.B, k *Kernel) {
		if k.Still() == nil {
			b.Skip("no path for weights that stay")
		}
		for _, chains := range []int{32, 64, 100, 128} {
			for name, k := range map[string]*Kernel{"any": k, "still": k.Still()} {
				p := benchProblem(784, 500, chains)
				p.pack(k)
				sc := NewScratch()
				b.Run(fmt.Sprintf("784x500x%d/%s", chains, name), func(b *testing.B) {
					measure(b, k, 500*float64(chains), 784*500*float64(chains), 0, func() { k.Step(&p.step, sc) })
				})
			}
		}
	})
}

// Half steps and sums of an RBM of 784×500 where a share of the inputs is up.
func BenchmarkFew(b *testing.B) {
	eachLevelB(b, func(b *testing.B, k *Kernel) {
		few := k.Few()
		if few == nil {
			b.Skip("no path for few inputs that are up")
		}
		for _, of := range []int{2, 4, 7, 15} {
			for name, k := range map[string]*Kernel{"any": k, "few": few} {
				r := rand.New(rand.NewPCG(1, 2))
				p := benchProblem(784, 500, 200)
				thin(r, p.step.In[0], of)
				p.pack(k)
				sc := NewScratch()
				macs := float64(784 * 500 * 200)
				b.Run(fmt.Sprintf("Step/784x500x200/one-of-%d/%s", 2*of, name), func(b *testing.B) {
					measure(b, k, 500*200, macs, 0, func() { k.Step(&p.step, sc) })
				})
				m, dst := make([]int32, 500*256), make([]int32, 784*500)
				b.Run(fmt.Sprintf("SpinMeans/784x500x200/one-of-%d/%s", 2*of, name), func(b *testing.B) {
					measure(b, k, 784*500, macs, 0, func() { k.SpinMeans(dst, 500, p.step.In[0], m, 256, 0, 500, 0, 4, 200, 200, sc) })
				})
			}
		}
	})
}
