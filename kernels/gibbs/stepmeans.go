package gibbs

import "fmt"

// StepMeans is Means and Step from the same fields: dst receives the
// conditional means of the units and Out their new spins.
func (k *Kernel) StepMeans(dst []int32, stride int, s *Step, sc *Scratch) {
	s.check()
	checkRows("Out", s.Out, s.Unit1, s.Word1)
	checkDst(dst, stride, s.Unit1, 64*s.Word1)
	k.each(s, sc, func(u, u1, w0, w1 int) {
		k.storeMeans(dst, stride, s, sc, u, u1, w0, w1)
		k.draw(s, sc, u, u1, w0, w1)
	})
}

// BothMeans is Means of one step into before and then StepMeans of another
// into dst, which may share memory with before; both are of the same weights
// and units, and a pass over the weights serves both. Few chains use a table of
// sums too seldom to pay for it, and those of both steps use it together. The
// Epoch, of s, holds for both.
func (k *Kernel) BothMeans(before []int32, other *Step, dst []int32, s *Step, stride int, sc *Scratch) {
	other.check()
	s.check()
	if s.Weights != other.Weights || s.Unit0 != other.Unit0 || s.Unit1 != other.Unit1 {
		panic(fmt.Sprintf("gibbs: two steps of units [%d, %d) and [%d, %d), or of other weights", other.Unit0, other.Unit1, s.Unit0, s.Unit1))
	}
	n, first := s.Word1-s.Word0, other.Word1-other.Word0
	if n == 0 || first == 0 || n+first > k.path.chunk(s.Weights.in) || s.Mix.On || other.Mix.On {
		sc.plain = *other
		sc.plain.Epoch = 0
		k.Means(before, stride, &sc.plain, sc)
		k.StepMeans(dst, stride, s, sc)
		return
	}
	checkRows("Out", s.Out, s.Unit1, s.Word1)
	checkDst(before, stride, s.Unit1, 64*other.Word1)
	checkDst(dst, stride, s.Unit1, 64*s.Word1)
	if held := (indexed{k, s.Epoch, first, s.Word0, s.Word1}); s.Epoch == 0 || held != sc.held {
		sc.parts = [2]part{{other, other.Word0, other.Word1}, {s, s.Word0, s.Word1}}
		k.path.begin(sc, sc.parts[:])
		sc.held = held
	}
	sc.skip = 0
	slab := k.path.slab()
	for u := s.Unit0; u < s.Unit1; u += slab {
		u1 := min(s.Unit1, u+slab)
		k.path.sums(s.Weights, sc, u, u1, first+n)
		k.storeMeans(before, stride, other, sc, u, u1, other.Word0, other.Word1)
		all := sc.acc
		sc.acc = all[first*slab*64:] // every path has the fields of a word after those of the one before
		k.storeMeans(dst, stride, s, sc, u, u1, s.Word0, s.Word1)
		k.draw(s, sc, u, u1, s.Word0, s.Word1)
		sc.acc = all
	}
}
