package gibbs

// StepFields is Fields without Mix and Step with it, from the same sums: dst
// receives the fields themselves and Out the spins drawn from the mixed ones.
func (k *Kernel) StepFields(dst []int32, stride int, s *Step, sc *Scratch) {
	s.check()
	checkRows("Out", s.Out, s.Unit1, s.Word1)
	checkDst(dst, stride, s.Unit1, 64*s.Word1)
	mixed := s.Mix.On
	sc.plain = *s
	sc.plain.Mix.On = false
	k.each(&sc.plain, sc, func(u, u1, w0, w1 int) {
		k.storeFields(dst, stride, s, sc, u, u1, w0, w1)
		if mixed {
			k.path.mix(s, sc, u, w0, w1)
		}
		k.draw(s, sc, u, u1, w0, w1)
	})
}
