package backend

import (
	"context"
	"errors"
	"fmt"
	"math"

	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// SamplerSpec describes chains of block Gibbs sampling on one network.
//
// A sweep updates the colours in ascending order, all units of a colour at
// once given the rest: p(+1) = σ(2a/T) for field a (eqs 17 and 18 of the
// thesis). Unit u of chain c in sweep t uses the 32-bit draw
// philox.Draw(seed, stream, FirstChain+c, stream number of u, t) and the rule
// spin.Up, so the result depends on nothing else.
type SamplerSpec struct {
	Network    *spin.Network
	Chains     int
	Seed       uint64
	Stream     philox.Stream
	FirstChain uint32 // global index of the first chain
	FirstSweep uint64 // number of the first sweep

	// Temperatures has one entry, or one for each chain; none means T = 1.
	// T = 0 is the limit: the sign of the field, and a fair coin at zero.
	Temperatures []float64
	// Clamped marks units (by number) that keep their state; nil for none.
	Clamped []bool
	// Colors gives each unit its colour; nil asks for Coloring's choice.
	// Units of one colour must not be coupled.
	Colors []int
	// Base, if not nil, is a second bias vector with the network's fraction
	// bits: the energy of the chains interpolates between that of independent
	// units with these biases (Mix = 0) and the network's (Mix = MixOne).
	// Fields become spin.Interpolate(a, Base, Mix).
	Base []int32
	Mix  uint32

	// Moments are added up after every sweep whose number within a Sweep call
	// is a multiple of Every (0 counts as 1).
	Moments MomentSpec

	// Context, if not nil, ends the setting up: NewSampler returns its error
	// within a tenth of a second.
	Context context.Context
}

// MixOne is the Mix at which the network's own energy is reached.
const MixOne = 1 << 24

// MomentSpec says which sums a sampler adds up.
type MomentSpec struct {
	Means    bool // Σ s_i
	Edges    bool // Σ s_i s_j over the stored couplings of every block
	AllPairs bool // Σ s_i s_j over all pairs
	Every    int
}

// Any reports whether anything is to be added up.
func (m MomentSpec) Any() bool { return m.Means || m.Edges || m.AllPairs }

// Moments are exact sums over chains and sweeps.
type Moments struct {
	Samples int64     // chains × sweeps added up
	Means   []int64   // [units] Σ s_i
	Edges   [][]int64 // for each block, as it is stored, Σ s_i s_j
	Pairs   []int64   // [units][units], symmetric, Samples on the diagonal
}

// Sampler holds chains of a SamplerSpec.
type Sampler interface {
	// Sweep advances every chain by n sweeps. If ctx ends, it returns the
	// context's error within a tenth of a second, after a whole sweep.
	Sweep(ctx context.Context, n int) error
	// Sweeps returns the number of the next sweep.
	Sweeps() uint64
	// State copies the spins of all units and chains to dst.
	State(dst *spin.Batch) error
	// SetState sets the spins of all units and chains. A new sampler starts
	// from fair coins (stream philox.Init, sweep FirstSweep).
	SetState(src *spin.Batch) error
	// SetNetwork replaces weights and biases; layers, couplings present and
	// Base stay.
	SetNetwork(n *spin.Network) error
	// SetNetworkContext is SetNetwork that returns the context's error within a
	// tenth of a second if ctx ends; the sampler then wants a network before it
	// can go on.
	SetNetworkContext(ctx context.Context, n *spin.Network) error
	// SetTemperatures replaces the temperatures.
	SetTemperatures(t []float64) error
	// SetMix moves the interpolation between Base and the network.
	SetMix(mix uint32) error
	// Moments copies the sums to dst, making its slices as needed.
	Moments(dst *Moments) error
	// ResetMoments sets the sums to zero.
	ResetMoments() error
	// Close frees the chains.
	Close() error
}

// Annealer is a Sampler that can walk along its interpolation faster than by
// the jobs that define it.
type Annealer interface {
	// Anneal does, with F_m the free energies of the visible units at point m
	// as in FreeEnergyJob and c the chains,
	//
	//	for k in [0, len(way)−1):
	//	    weights[c] += F_way[k](c) − F_way[k+1](c)
	//	    spread[k] = max(0, mean over c of d² − (mean of d)²),  d what was added
	//	    if k < len(way)−2: SetMix(way[k+1]), Sweep(1)
	//
	// for an RBM whose biases, which are the sampler's, are given. spread may be
	// nil. It returns false, and has done nothing, where the
	// sampler is of another kind: not an RBM at T = 1 with a Base, or clamped.
	Anneal(ctx context.Context, bias []int32, way []uint32, weights, spread []float64) (bool, error)
}

// EnergyMeter is a Sampler that knows the energies of its chains, so that its
// user need not keep the network.
type EnergyMeter interface {
	// Energies writes the exact energy of each of the first len(dst) chains, as
	// EnergyJob defines it, to dst. It returns false, and has done nothing, where
	// the sampler is of another kind: not an RBM.
	Energies(ctx context.Context, dst []int64) (bool, error)
}

// Spread is the variance of d as Annealer has it, the sums fused and in the
// order of the chains.
func Spread(d []float64) float64 {
	sum, square := 0.0, 0.0
	for _, x := range d {
		sum += x
		square = math.FMA(x, x, square)
	}
	mean := sum / float64(len(d))
	return math.Max(0, square/float64(len(d))-float64(mean*mean))
}

// Check reports what is wrong with a spec and fills in nothing.
func (s *SamplerSpec) Check() error {
	if s.Network == nil {
		return errors.New("sampler has no network")
	}
	if err := s.Network.CheckContext(Ending(s.Context)); err != nil {
		return err
	}
	if s.Chains < 1 {
		return fmt.Errorf("%d chains, want at least 1", s.Chains)
	}
	if uint64(s.FirstChain)+uint64(s.Chains) > philox.MaxChains {
		return fmt.Errorf("chains %d to %d, want numbers below 2³²", s.FirstChain, uint64(s.FirstChain)+uint64(s.Chains)-1)
	}
	if s.Stream >= philox.LowBits {
		return fmt.Errorf("stream %d, want below %d", s.Stream, philox.LowBits)
	}
	units := s.Network.Units()
	if s.Clamped != nil && len(s.Clamped) != units {
		return fmt.Errorf("%d marks of clamped units for %d units", len(s.Clamped), units)
	}
	if err := CheckBase(s.Network, s.Base, s.Mix); err != nil {
		return err
	}
	if s.Moments.Every < 0 {
		return fmt.Errorf("moments every %d sweeps, want 1 or more", s.Moments.Every)
	}
	if _, err := Betas(s.Temperatures, s.Chains); err != nil {
		return err
	}
	// The chains and a copy of them, and the weights in both directions.
	weights := 0
	for k := range s.Network.Blocks {
		weights += 8 * s.Network.Stored(k)
	}
	if err := CheckFit(s.Chains, "chains", float64(units)/4, fmt.Sprintf(" of %d units", units), float64(weights)); err != nil {
		return err
	}
	if err := s.Network.CheckRangeContext(Ending(s.Context)); err != nil {
		return err
	}
	_, err := ColoringContext(Ending(s.Context), s.Network, s.Colors)
	return err
}

// CheckBase reports a base that does not fit a network.
func CheckBase(n *spin.Network, base []int32, mix uint32) error {
	if base == nil {
		if mix != 0 {
			return errors.New("interpolation without a second bias vector")
		}
		return nil
	}
	if len(base) != n.Units() {
		return fmt.Errorf("second bias vector has %d entries for %d units", len(base), n.Units())
	}
	if mix > MixOne {
		return fmt.Errorf("interpolation at %d, want at most 2²⁴", mix)
	}
	for u, b := range base {
		if b == -1<<31 {
			return fmt.Errorf("second bias of unit %d is out of range", u)
		}
	}
	return nil
}

// CheckSameShape reports a network b that is not sound or differs from a in
// more than the values of its weights and biases. Of a, only what Shape keeps
// is looked at.
func CheckSameShape(a, b *spin.Network) error {
	return CheckSameShapeContext(context.Background(), a, b)
}

// CheckSameShapeContext is CheckSameShape that returns the context's error soon
// after ctx ends.
func CheckSameShapeContext(ctx context.Context, a, b *spin.Network) error {
	if b == nil {
		return errors.New("no network")
	}
	if err := b.CheckContext(ctx); err != nil {
		return err
	}
	if err := b.CheckRangeContext(ctx); err != nil {
		return err
	}
	differ := errors.New("the new network has other layers or couplings")
	if len(a.Layers) != len(b.Layers) || len(a.Blocks) != len(b.Blocks) {
		return differ
	}
	for i := range a.Layers {
		if a.Layers[i] != b.Layers[i] {
			return differ
		}
	}
	for i := range a.Blocks {
		x, y := &a.Blocks[i], &b.Blocks[i]
		if x.A != y.A || x.B != y.B || x.Sparse() != y.Sparse() || a.Stored(i) != b.Stored(i) {
			return differ
		}
		for k := range x.RowPtr {
			if x.RowPtr[k] != y.RowPtr[k] {
				return differ
			}
		}
		for k := range x.Col {
			if x.Col[k] != y.Col[k] {
				return differ
			}
		}
	}
	return nil
}

// Betas turns the temperatures of a spec into fixed point: one value, or one
// for each chain.
func Betas(t []float64, chains int) ([]uint64, error) {
	if len(t) == 0 {
		t = []float64{1}
	}
	if len(t) != 1 && len(t) != chains {
		return nil, fmt.Errorf("%d temperatures for %d chains, want one or one for each", len(t), chains)
	}
	b := make([]uint64, len(t))
	for i, x := range t {
		var err error
		if b[i], err = spin.Beta(x); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// CheckStates reports a batch that is not a state of n units and some chains.
func CheckStates(b *spin.Batch, units, chains int) error {
	if b == nil {
		return errors.New("no batch of states")
	}
	if b.Units != units || chains >= 0 && b.Chains != chains {
		return fmt.Errorf("batch of %d units and %d chains, want %d units and %d chains", b.Units, b.Chains, units, max(chains, 1))
	}
	return b.Check()
}
