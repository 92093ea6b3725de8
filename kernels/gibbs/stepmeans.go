package gibbs

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
