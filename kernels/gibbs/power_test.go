package gibbs

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// The tests above have power: a weight that is off by one part in a hundred,
// two swapped lanes, a skipped random word and a lost carry are all seen.
func TestPower(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernel) {
		sc := NewScratch()
		spoil := map[string]func(p *problem){
			"perturbed weight": func(p *problem) {
				w := &p.blocks[0].Src[3]
				*w += *w / 100
				p.pack(k)
			},
			"last bit of a weight": func(p *problem) {
				p.blocks[0].Src[3] ^= 1
				p.pack(k)
			},
			"swapped lanes": func(p *problem) {
				for i := range p.step.In[0].N {
					x := &p.step.In[0].Bits[i*p.step.In[0].Stride]
					*x = *x&^0x30 | *x>>1&0x10 | *x<<1&0x20
				}
			},
			"skipped random word": func(p *problem) { p.step.Chain0++ },
			"next sweep":          func(p *problem) { p.step.Sweep++ },
			"next group of units": func(p *problem) { p.step.Unit += 8 },
		}
		for name, f := range spoil {
			p := newProblem(rand.New(rand.NewPCG(27, 28)), shape{[]int{37}, 48, 4096}, 1<<24)
			p.pack(k)
			fields := make([]int32, 48*4096)
			k.Fields(fields, 4096, &p.step, sc)
			k.Step(&p.step, sc)
			want, wantFields := slices.Clone(p.step.Out.Bits), slices.Clone(fields)
			f(p)
			k.Fields(fields, 4096, &p.step, sc)
			k.Step(&p.step, sc)
			if name != "last bit of a weight" && slices.Equal(want, p.step.Out.Bits) {
				t.Errorf("%s: no spin changes", name)
			}
			sums := name == "perturbed weight" || name == "last bit of a weight" || name == "swapped lanes"
			if slices.Equal(fields, wantFields) == sums {
				t.Errorf("%s: fields changed: %v, want %v", name, !sums, sums)
			}
		}
	})
}

// The steady state allocates nothing.
func TestNoAllocation(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernel) {
		sc := NewScratch()
		p := newProblem(rand.New(rand.NewPCG(29, 30)), shape{[]int{37, 20}, 48, 200}, 1<<22)
		p.pack(k)
		dst, m := make([]int32, 48*256), make([]int32, 48*256)
		list := &ListStep{Rule: p.step.Rule, Units: []int32{0, 7, 9}, RowPtr: make([]int, 38), Bias: make([]int32, 37), State: p.step.In[0], Word1: 4}
		for name, f := range map[string]func(){
			"Step":      func() { k.Step(&p.step, sc) },
			"Fields":    func() { k.Fields(dst, 256, &p.step, sc) },
			"Means":     func() { k.Means(m, 256, &p.step, sc) },
			"List":      func() { k.List(list, sc) },
			"Counts":    func() { k.Counts(dst, 48, p.step.In[0], p.step.In[1], 0, 37, 0, 4, 200, sc) },
			"SpinMeans": func() { k.SpinMeans(dst, 48, p.step.In[0], m, 256, 0, 48, 0, 4, 200, 90, sc) },
			"Pack":      func() { k.Pack(p.step.Weights, p.bias, p.blocks, 0, 48) },
		} {
			if n := testing.AllocsPerRun(5, f); n != 0 {
				t.Errorf("%s allocates %v times", name, n)
			}
		}
	})
}

// Shapes that do not fit are refused before anything is written.
func TestPanics(t *testing.T) {
	eachLevel(t, func(t *testing.T, k *Kernel) {
		for name, f := range map[string]func(p *problem){
			"unit range":    func(p *problem) { p.step.Unit0 = 3 },
			"units beyond":  func(p *problem) { p.step.Unit1++ },
			"words beyond":  func(p *problem) { p.step.Word1++ },
			"no bits":       func(p *problem) { p.step.In[0].Bits = p.step.In[0].Bits[:5] },
			"missing layer": func(p *problem) { p.step.In = p.step.In[:1] },
			"short output":  func(p *problem) { p.step.Out.N-- },
			"first unit":    func(p *problem) { p.step.Unit = 4 },
			"betas":         func(p *problem) { p.step.Betas = make([]uint64, 3) },
			"mix":           func(p *problem) { p.step.Mix = Mix{On: true, M: 1<<24 + 1} },
			"base":          func(p *problem) { p.step.Mix = Mix{On: true, Base: make([]int32, 3)} },
			"other path":    func(p *problem) { p.step.Weights.path = nil },
		} {
			p := newProblem(rand.New(rand.NewPCG(31, 32)), shape{[]int{7, 5}, 45, 100}, 1<<22)
			p.pack(k)
			before := slices.Clone(p.step.Out.Bits)
			f(p)
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: no panic", name)
					}
				}()
				k.Step(&p.step, NewScratch())
			}()
			if !slices.Equal(before, p.step.Out.Bits) {
				t.Errorf("%s: spins were written before the panic", name)
			}
		}
	})
}
