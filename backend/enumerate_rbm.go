package backend

import (
	"context"
	"errors"
	"fmt"
	"math"

	"kadanoff/spin"
	"kadanoff/spin/fmath"
)

// MaxEnumerateUnits is the largest smaller layer of an EnumerateRBMJob.
const MaxEnumerateUnits = 34

// EnumerateRBMJob asks for the exact partition function of an RBM at T = 1,
//
//	Z = Σ_s e^(c·s) Π_i 2cosh(b_i + Σ_a w_ia s_a)
//
// over the states s of its smaller layer (the hidden one if they are equal),
// with b and c the biases of the other layer and of that one. Fields are exact:
// integers of the network's fixed point.
type EnumerateRBMJob struct {
	Network *spin.Network // two layers, coupled only to each other, densely
	// Moments asks for ⟨v_i⟩, ⟨h_a⟩ and ⟨v_i h_a⟩: the exact gradient of log Z.
	Moments bool
	// Progress is as in EnumerateJob.
	Progress func(fraction float64)
}

// RBMEnumeration is the answer to an EnumerateRBMJob.
type RBMEnumeration struct {
	LogZ            float64
	Visible, Hidden []float64 // means, with Moments
	Pairs           []float64 // [visible][hidden] ⟨v_i h_a⟩, with Moments
}

// Enumerated returns which layer is enumerated.
func (j *EnumerateRBMJob) Enumerated() int {
	if j.Network.Layers[0] < j.Network.Layers[1] {
		return 0
	}
	return 1
}

// Check reports what is wrong with the job.
func (j *EnumerateRBMJob) Check() error {
	if err := CheckRBM(j.Network); err != nil {
		return err
	}
	if n := min(j.Network.Layers[0], j.Network.Layers[1]); n > MaxEnumerateUnits {
		return fmt.Errorf("the smaller layer has %d units, want at most %d to enumerate", n, MaxEnumerateUnits)
	}
	return nil
}

// RBMStates is an EnumerateRBMJob seen from the layer that is enumerated. Its
// states s are numbered with unit a in bit a, 1 for +1; group L is the lowest
// units, G the others, of which the highest Leaf name a leaf.
type RBMStates struct {
	Units      int     // enumerated
	Others     int     // summed out
	L, G, Leaf int     // units of each group
	Own, Bias  []int32 // biases of the enumerated units, and of the others
	W          []int32 // [Others][Units]
	Unit       float64 // value of 1
	// Split is the number of the other units after which products of 1 + e^2u
	// must be rid of their exponents; 0 if the fields are so large that
	// products do not serve.
	Split int
}

// States returns the job's states.
func (j *EnumerateRBMJob) States() *RBMStates {
	net, layer := j.Network, j.Enumerated()
	visible, hidden := net.Layers[0], net.Layers[1]
	s := &RBMStates{
		Units: net.Layers[layer], Others: net.Layers[1-layer],
		Own: net.Bias[visible:], Bias: net.Bias[:visible],
		W:    net.Blocks[0].W,
		Unit: math.Ldexp(1, -int(net.Frac)),
	}
	if layer == 0 {
		s.Own, s.Bias = s.Bias, s.Own
		s.W = make([]int32, visible*hidden)
		for i, w := range net.Blocks[0].W {
			s.W[i%hidden*visible+i/hidden] = w
		}
	}
	// a table of 2^L·Others doubles is kept to 16 MB
	s.L = max(0, min(10, s.Units-4))
	for s.L > 3 && s.Others<<s.L > 1<<21 {
		s.L--
	}
	s.G = s.Units - s.L
	s.Leaf = max(0, min(12, s.G-4))
	if j.Moments {
		for s.Leaf > 6 || s.Leaf > 0 && (s.Others+1)*(s.Units+1)<<s.Leaf > 1<<22 {
			s.Leaf--
		}
	}
	largest := int64(0)
	for i := range s.Others {
		u := abs(s.Bias[i])
		for _, w := range s.W[i*s.Units : (i+1)*s.Units] {
			u += abs(w)
		}
		largest = max(largest, u)
	}
	if twice := 2 * float64(largest) * s.Unit; twice <= 690 {
		s.Split = min(s.Others, int(1000*math.Ln2/(twice+0.7)))
	}
	return s
}

// Leaves returns the number of leaves.
func (s *RBMStates) Leaves() int { return 1 << s.Leaf }

// SplitExp returns e^x as mantissa·2^exponent, the mantissa within [0.7, 1.5].
func SplitExp(x float64) (mantissa float64, exponent int64) {
	k := math.RoundToEven(float64(x * fmath.Log2E))
	r := math.FMA(-k, fmath.Ln2Hi, x)
	r = math.FMA(-k, fmath.Ln2Lo, r)
	return fmath.Exp(r), int64(k)
}

// ScaledBy returns x·2^n for n ≤ 0, 0 where 2^n is below the normal numbers.
func ScaledBy(x float64, n int64) float64 {
	return x * math.Float64frombits(uint64(max(n+1023, 0))<<52)
}

// RBMLeaf is the sum over a leaf of an RBM's states, 2^Exponent·Sum, and with
// Moments the sums of the observables, in the same scale: [Units] of s_a, then
// [Others] of r_i = 1/(1 + e^2u_i), then [Others][Units] of r_i s_a.
//
// With e^(c·s − Σ_i u_i) split by SplitExp into the factors of s's part in L and
// in G, and X = e^(2u) of the field from G, Y = e^(2u) of that from L with the
// bias, the order is
//
//	for each panel of 16 consecutive g (or all, when G < 4), ascending:
//		for each block of 8 consecutive l (or all, when L < 3), ascending:
//			the products Π_i fma(Y, X, 1) in the order of i, exponents split off
//			after every Split of them and at the end, times the factors of G and
//			of L, summed in 8 lanes as kernels/enum's ScaledSum does
//			Add(the exponent, the lanes' sum)
//
// Moments come after the sum, from the same products scaled by 2^−Exponent.
// Without Split, each state's weight is SplitExp(c·s + Σ_i fmath.LnCosh2(u_i)),
// in the order of the states.
type RBMLeaf struct {
	Exponent int64
	Sum      float64
	Sums     []float64
}

// Add adds 2^exponent·x to the leaf's sum.
func (f *RBMLeaf) Add(exponent int64, x float64) {
	switch {
	case f.Sum == 0:
		f.Exponent, f.Sum = exponent, x
	case exponent <= f.Exponent:
		f.Sum += ScaledBy(x, exponent-f.Exponent)
	default:
		f.Sum = ScaledBy(f.Sum, f.Exponent-exponent) + x
		f.Exponent = exponent
	}
}

// addRBMLeaves adds leaves as a balanced tree.
func addRBMLeaves(leaves []RBMLeaf) RBMLeaf {
	if len(leaves) == 1 {
		return leaves[0]
	}
	h := len(leaves) / 2
	x, y := addRBMLeaves(leaves[:h]), addRBMLeaves(leaves[h:])
	if y.Exponent > x.Exponent {
		x, y = y, x
	}
	d := y.Exponent - x.Exponent
	out := RBMLeaf{Exponent: x.Exponent, Sum: x.Sum + ScaledBy(y.Sum, d), Sums: make([]float64, len(x.Sums))}
	for i := range out.Sums {
		out.Sums[i] = x.Sums[i] + ScaledBy(y.Sums[i], d)
	}
	return out
}

// Field returns the exact field of other unit i in a state, in units of Unit.
func (s *RBMStates) Field(i int, state uint64) int64 {
	u := int64(s.Bias[i])
	for a, w := range s.W[i*s.Units : (i+1)*s.Units] {
		u += int64(w) * (int64(state>>a&1)*2 - 1)
	}
	return u
}

// LeafByStates sums a leaf without Split.
func (s *RBMStates) LeafByStates(ctx context.Context, leaf int, moments bool) (RBMLeaf, error) {
	var f RBMLeaf
	first, count := uint64(leaf)<<(s.Units-s.Leaf), uint64(1)<<(s.Units-s.Leaf)
	each := func(do func(state uint64, mantissa float64, exponent int64)) error {
		for state := first; state < first+count; state++ {
			if state%8 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			own := int64(0)
			for a, c := range s.Own {
				own += int64(c) * (int64(state>>a&1)*2 - 1)
			}
			x := float64(own) * s.Unit
			for i := range s.Others {
				x += fmath.LnCosh2(float64(s.Field(i, state)) * s.Unit)
			}
			m, e := SplitExp(x)
			do(state, m, e)
		}
		return nil
	}
	err := each(func(_ uint64, m float64, e int64) { f.Add(e, m) })
	if err != nil || !moments {
		return f, err
	}
	n := s.Units
	f.Sums = make([]float64, n+s.Others*(n+1))
	r, pairs := f.Sums[n:n+s.Others], f.Sums[n+s.Others:]
	err = each(func(state uint64, m float64, e int64) {
		w := ScaledBy(m, e-f.Exponent)
		for a := range n {
			f.Sums[a] += sign(state, a) * w
		}
		for i := range s.Others {
			x := float64(w * float64(0.5*(1-fmath.Tanh(float64(s.Field(i, state))*s.Unit))))
			r[i] += x
			for a := range n {
				pairs[i*n+a] += sign(state, a) * x
			}
		}
	})
	return f, err
}

// Finish puts the leaves together.
func (j *EnumerateRBMJob) Finish(leaves []RBMLeaf) (*RBMEnumeration, error) {
	s := j.States()
	if len(leaves) != s.Leaves() {
		return nil, fmt.Errorf("%d leaves, want %d", len(leaves), s.Leaves())
	}
	t := addRBMLeaves(leaves)
	if !(t.Sum > 0) || math.IsInf(t.Sum, 1) {
		return nil, errors.New("partition function out of range")
	}
	e := float64(t.Exponent)
	out := &RBMEnumeration{LogZ: math.FMA(e, fmath.Ln2Hi, math.FMA(e, fmath.Ln2Lo, fmath.Log(t.Sum)))}
	if !j.Moments {
		return out, nil
	}
	n := s.Units
	own, other := make([]float64, n), make([]float64, s.Others)
	for a := range own {
		own[a] = t.Sums[a] / t.Sum
	}
	for i := range other {
		other[i] = math.FMA(-2, t.Sums[n+i]/t.Sum, 1)
	}
	out.Pairs = make([]float64, n*s.Others)
	layer := j.Enumerated()
	for i := range other {
		for a := range own {
			x := math.FMA(-2, t.Sums[n+s.Others+i*n+a]/t.Sum, own[a])
			if layer == 1 {
				out.Pairs[i*n+a] = x
			} else {
				out.Pairs[a*s.Others+i] = x
			}
		}
	}
	if layer == 1 {
		out.Visible, out.Hidden = other, own
	} else {
		out.Visible, out.Hidden = own, other
	}
	return out, nil
}

// LogLikelihood returns the mean over the states v of the visible layer of
// ln p(v) = −F(v) − log Z, in nats, exactly: log Z by enumeration.
func LogLikelihood(ctx context.Context, b Backend, network *spin.Network, v *spin.Batch) (logLikelihood, logZ float64, err error) {
	if v == nil || v.Chains < 1 {
		return 0, 0, errors.New("no data")
	}
	f := make([]float64, v.Chains)
	if err := b.FreeEnergy(ctx, FreeEnergyJob{Network: network, Summed: 1, States: v}, f); err != nil {
		return 0, 0, err
	}
	e, err := b.EnumerateRBM(ctx, &EnumerateRBMJob{Network: network})
	if err != nil {
		return 0, 0, err
	}
	sum := 0.0
	for _, x := range f {
		sum -= x
	}
	return sum/float64(len(f)) - e.LogZ, e.LogZ, nil
}
