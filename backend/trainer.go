package backend

import (
	"context"
	"errors"
	"fmt"
	"math"

	"kadanoff/spin"
	"kadanoff/spin/fmath"
	"kadanoff/spin/philox"
)

// Algorithm is how the model phase of training gets its chains.
type Algorithm uint8

const (
	// CD starts a chain at every configuration of the batch: contrastive
	// divergence.
	CD Algorithm = iota
	// PCD keeps its chains from step to step: persistent contrastive
	// divergence, also called stochastic maximum likelihood.
	PCD
	// PT is PCD with copies of the chains at higher temperatures that exchange
	// their configurations: parallel tempering.
	PT
)

// String returns the name that --algorithm takes.
func (a Algorithm) String() string {
	switch a {
	case CD:
		return "cd"
	case PCD:
		return "pcd"
	case PT:
		return "pt"
	}
	return fmt.Sprintf("algorithm %d", uint8(a))
}

// TrainerSpec describes stochastic gradient ascent of the log-likelihood of an
// RBM (eqs 23, 24 and 36 to 38 of the thesis).
//
// Step t runs on fixed-point weights rounded from the float32 masters as
// spin.Quantize does. β₀ is the first temperature's.
//
// Data phase: m_a = spin.Mean of the hidden fields of each configuration. For
// CD the hidden units are then drawn from the same fields (stream
// philox.Data, chain FirstSample + position in the batch, sweep t).
//
// The model phase of PT first exchanges configurations between neighbouring
// temperatures: r and r+1 for all r ≡ t mod 2, chain by chain, of energies E as
// in EnergyJob, if x = (β_r − β_{r+1})·(E_r − E_{r+1})·2^−(24+Frac) ≥ 0 or
// U < 2³²·fmath.Exp(x) for U = philox.Draw(seed, philox.Exchange,
// FirstChain + c, r, t); x is one product of two float64 times a power of two.
// Then, for all algorithms, K sweeps numbered t·K … t·K+K−1 draw the visible units given the
// hidden ones and the hidden ones given the visible ones (stream
// philox.Gibbs). Chain c of CD is numbered FirstSample + c; chain c of the
// others at temperature r is numbered r·TotalChains + FirstChain + c. The
// statistics take the last visible units of the chains at the first
// temperature and the means of their hidden units.
type TrainerSpec struct {
	Model     *spin.Net[float32] // an RBM: initial weights and biases
	Algorithm Algorithm
	K         int // sweeps in a step
	Seed      uint64

	// Chains is the number of chains at each temperature that this trainer
	// keeps; none for CD. FirstChain is the global index of the first of
	// TotalChains; 0 stands for Chains.
	Chains      int
	FirstChain  uint32
	TotalChains int

	// Temperatures of the chains: one for CD and PCD (none means T = 1), at
	// least two for PT. The model is learnt at the first.
	Temperatures []float64

	// Tied keeps all weights equal, and the biases as they are: the uniform
	// RBM of the thesis (eq 52).
	Tied bool

	// Context, if not nil, ends the setting up: NewTrainer returns its error
	// within a tenth of a second.
	Context context.Context
}

// TrainingBatch is the data of a step.
type TrainingBatch struct {
	Data *spin.Batch // visible units
	// FirstSample is the index in the whole batch of Samples configurations of
	// the first one in Data; Samples = 0 stands for all being there. With
	// Samples, a trainer that keeps chains takes a Data without any.
	FirstSample uint32
	Samples     int
}

// Statistics are the exact sums of a step, in units of 2⁻²² where hidden means
// enter. Sums of several trainers' statistics are those of one trainer with all
// their data and chains.
type Statistics struct {
	Samples, Chains int // of the whole batch and of all trainers

	// Pairs is [visible][hidden] M'·Σ_data v_i m_a − D'·Σ_model v_i m_a, where
	// D' and M' are Samples and Chains over their greatest common divisor.
	Pairs                     []int64
	VisibleData, VisibleModel []int64 // Σ v_i
	HiddenData, HiddenModel   []int64 // Σ m_a
}

// Update says how the statistics change the model.
//
// With D and M as in Statistics, in float64:
//
//	⟨v_i⟩ = Σ v_i · (1/D or 1/M),  ⟨h_a⟩ = Σ m_a · (2⁻²²/D or 2⁻²²/M)
//	Δv = ⟨v⟩_data − ⟨v⟩_model,  Δh likewise
//	μ ← fma(OffsetRate, ⟨v⟩_data − μ, μ),  λ ← fma(OffsetRate, ⟨h⟩_data − λ, λ)
//	g = Pairs_ia · 1/(D·M'·2²²)
//	g = fma(−μ_i, Δh_a, g);  g = fma(−Δv_i, λ_a, g)
//	g = fma(−WeightDecay, W_ia, g);  g = g − L1·sign(W_ia)
//	x_ia = fma(Momentum, velocity_ia, WeightRate·g)
//	W_ia ← float32(W_ia + x_ia),  velocity_ia ← float32(x_ia)
//	y_i = fma(Momentum, velocity_i, BiasRate·Δv_i)
//	b_i ← float32(b_i + (y_i − Σ_a x_ia λ_a)),  velocity_i ← float32(y_i)
//	c_a ← float32(c_a + (y_a − Σ_i x_ia μ_i)),  velocity_a ← float32(y_a)
//
// These are the steps of a centred RBM with offsets μ and λ, written for
// uncentred biases; with μ = λ = 0 and OffsetRate = 0 they are those of the
// plain one, and with μ = λ = −1 those of a plain RBM of {0,1} units.
//
// Σ_a x_ia λ_a runs in eight lanes a mod 8, each a chain of fused multiply-adds
// in ascending a from 0, added as LaneSum does. Σ_i x_ia μ_i runs as such
// chains within blocks of UpdateRows rows, whose sums are added in order.
//
// A tied model has one g, Σ Pairs · (1/(D·M'·2²²·VH)), with decay, L1 and
// momentum as above and no centring, and its biases stay.
type Update struct {
	WeightRate, BiasRate float64
	Momentum             float64
	WeightDecay, L1      float64
	OffsetRate           float64

	// Context, if not nil, ends the update: Update returns its error within a
	// tenth of a second, and only Load makes the trainer usable again.
	Context context.Context
}

// UpdateRows is the number of rows of a block in which Update adds up the
// columns.
const UpdateRows = 64

// LaneSum adds up eight lanes: lane l and l+4, then l and l+2, then both left.
func LaneSum(s *[8]float64) float64 {
	for w := 4; w > 0; w /= 2 {
		for l := range w {
			s[l] += s[l+w]
		}
	}
	return s[0]
}

// TrainerState is all that a trainer needs to go on bit for bit.
type TrainerState struct {
	Step          uint64
	Model         *spin.Net[float32]
	Velocity      []float32    // W, b and c; nil if no step has had momentum
	VisibleOffset []float64    // μ
	HiddenOffset  []float64    // λ
	Chains        []spin.Batch // all units, one batch for each temperature; nil for CD

	// Context, if not nil, ends the Save or Load that is given the state: it
	// returns the context's error within a tenth of a second. A state half saved
	// is of no use, and only another Load makes the trainer usable again.
	Context context.Context
}

// Trainer holds a model, its chains and the state of its optimiser.
type Trainer interface {
	// Gather runs the data and model phases of one step. If ctx ends, it
	// returns the context's error, and only Load makes the trainer usable
	// again.
	Gather(ctx context.Context, batch TrainingBatch) error
	// Statistics copies the sums of the last Gather to dst, making its slices
	// as needed.
	Statistics(dst *Statistics) error
	// SetStatistics replaces the sums, as when those of all processes have
	// been added up.
	SetStatistics(src *Statistics) error
	// Update changes the model by the statistics and counts the step. A
	// *DivergedError says that the new weights do not fit fixed point; the
	// trainer must then be loaded anew.
	Update(u Update) error
	// Save copies the state to dst, making its slices as needed, and leaves
	// its Context.
	Save(dst *TrainerState) error
	// Load replaces the state.
	Load(src *TrainerState) error
	// Close frees the trainer.
	Close() error
}

// DivergedError reports weights that grew out of range in training.
type DivergedError struct {
	Step   uint64 // the step whose update it was
	Reason error
}

func (e *DivergedError) Error() string {
	return fmt.Sprintf("training diverged in step %d: %v; want a lower rate", e.Step, e.Reason)
}

// Unwrap returns the reason.
func (e *DivergedError) Unwrap() error { return e.Reason }

// Check reports what is wrong with a spec and fills in nothing.
func (s *TrainerSpec) Check() error {
	_, err := s.Quantized()
	return err
}

// Quantized is Check, and returns the model in fixed point.
func (s *TrainerSpec) Quantized() (*spin.Network, error) {
	if s.Model == nil {
		return nil, errors.New("trainer has no model")
	}
	ctx := Ending(s.Context)
	if err := s.Model.CheckContext(ctx); err != nil {
		return nil, err
	}
	if !isRBM(s.Model) {
		return nil, errNoRBM
	}
	if s.K < 1 {
		return nil, fmt.Errorf("k = %d sweeps in a step, want at least 1", s.K)
	}
	if s.Algorithm > PT {
		return nil, fmt.Errorf("%v, want cd, pcd or pt", s.Algorithm)
	}
	if s.Algorithm == CD {
		if s.Chains != 0 || s.FirstChain != 0 || s.TotalChains != 0 {
			return nil, errors.New("cd has no chains of its own, want 0")
		}
	} else {
		if s.Chains < 1 {
			return nil, fmt.Errorf("%d chains, want at least 1", s.Chains)
		}
		if s.TotalChains < 0 || s.Total() < s.Chains+int(s.FirstChain) {
			return nil, fmt.Errorf("chains %d to %d of %d", s.FirstChain, int(s.FirstChain)+s.Chains-1, s.Total())
		}
	}
	switch n := len(s.Temperatures); {
	case s.Algorithm == PT && n < 2:
		return nil, fmt.Errorf("parallel tempering at %d temperatures, want at least 2", n)
	case s.Algorithm != PT && n > 1:
		return nil, fmt.Errorf("%v at %d temperatures, want one", s.Algorithm, n)
	}
	for _, t := range s.Temperatures {
		if b, err := spin.Beta(t); err != nil {
			return nil, err
		} else if b == spin.BetaCold {
			return nil, errors.New("temperature 0: training wants more than 0")
		}
	}
	if uint64(max(len(s.Temperatures), 1))*uint64(s.Total()) > philox.MaxChains {
		return nil, fmt.Errorf("%d chains at %d temperatures, want fewer than 2³² in all", s.Total(), len(s.Temperatures))
	}
	// The chains at all temperatures, and a copy of them that is saved.
	each := float64(s.Model.Units()) * float64(max(1, len(s.Temperatures))) / 4
	what := fmt.Sprintf(" of %d units", s.Model.Units())
	if n := len(s.Temperatures); n > 1 {
		what += fmt.Sprintf(" at %d temperatures", n)
	}
	if err := CheckFit(s.Chains, "chains", each, what, TrainingBytes*float64(len(s.Model.Blocks[0].W))); err != nil {
		return nil, err
	}
	if s.Tied {
		for i, w := range s.Model.Blocks[0].W {
			if i%lookCouplings == 0 && ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if w != s.Model.Blocks[0].W[0] {
				return nil, errors.New("tied weights that are not all equal")
			}
		}
	}
	return spin.QuantizeContext(ctx, s.Model)
}

// TrainingBytes is what a trainer takes for each weight beside the model that
// it is given: masters, their fixed point, both packed copies and pair sums.
const TrainingBytes = 20

// JointChains is the most configurations and chains, together, of which a step
// can make the pair sums of data and model in one go; more take eight bytes for
// each weight besides.
const JointChains = 256

// Total returns TotalChains, or Chains where that is 0.
func (s *TrainerSpec) Total() int {
	if s.TotalChains == 0 {
		return s.Chains
	}
	return s.TotalChains
}

// TemperatureBetas returns β of every temperature of a checked spec.
func (s *TrainerSpec) TemperatureBetas() []uint64 {
	t := s.Temperatures
	if len(t) == 0 {
		t = []float64{1}
	}
	b := make([]uint64, len(t))
	for i, x := range t {
		b[i], _ = spin.Beta(x)
	}
	return b
}

// Counts returns the numbers of configurations and chains over all trainers
// that a step on batch has, or what is wrong with the batch.
func (s *TrainerSpec) Counts(batch *TrainingBatch) (samples, chains int, err error) {
	if err := CheckStates(batch.Data, s.Model.Layers[0], -1); err != nil {
		return 0, 0, err
	}
	if batch.Data.Chains < 1 && (batch.Samples < 1 || s.Algorithm == CD) {
		return 0, 0, errors.New("batch is empty")
	}
	samples, chains = batch.Samples, s.Total()
	if samples == 0 {
		samples = batch.Data.Chains
	}
	if samples < batch.Data.Chains+int(batch.FirstSample) {
		return 0, 0, fmt.Errorf("configurations %d to %d of a batch of %d", batch.FirstSample, int(batch.FirstSample)+batch.Data.Chains-1, samples)
	}
	if s.Algorithm == CD {
		chains = samples
	}
	if samples/gcd(samples, chains)*chains >= 1<<31-1 {
		return 0, 0, fmt.Errorf("batch of %d and %d chains, want their least common multiple below 2³¹", samples, chains)
	}
	return samples, chains, nil
}

// Multipliers returns M' and D': Chains and Samples over their greatest common
// divisor.
func (s *Statistics) Multipliers() (data, model int64) {
	g := gcd(s.Samples, s.Chains)
	return int64(s.Chains / g), int64(s.Samples / g)
}

// PairFactor returns 1/(D·M'·2²²), which turns Pairs into a gradient.
func (s *Statistics) PairFactor() float64 {
	data, _ := s.Multipliers()
	return 1 / (float64(int64(s.Samples)*data) * (1 << spin.MeanBits))
}

// TiedFactor returns 1/(D·M'·2²²·VH), for the sum of all n = VH Pairs.
func (s *Statistics) TiedFactor(n int) float64 {
	data, _ := s.Multipliers()
	return 1 / (float64(int64(s.Samples)*data) * (1 << spin.MeanBits) * float64(n))
}

// Reset sets all sums to zero, for a model of the given shape.
func (s *Statistics) Reset(visible, hidden, samples, chains int) {
	s.Samples, s.Chains = samples, chains
	s.Pairs = zeros(s.Pairs, visible*hidden, true)
	s.VisibleData, s.VisibleModel = zeros(s.VisibleData, visible, true), zeros(s.VisibleModel, visible, true)
	s.HiddenData, s.HiddenModel = zeros(s.HiddenData, hidden, true), zeros(s.HiddenModel, hidden, true)
}

// CopyTo copies the sums to dst, reusing its slices.
func (s *Statistics) CopyTo(dst *Statistics) {
	dst.Samples, dst.Chains = s.Samples, s.Chains
	dst.Pairs = append(dst.Pairs[:0], s.Pairs...)
	dst.VisibleData, dst.VisibleModel = append(dst.VisibleData[:0], s.VisibleData...), append(dst.VisibleModel[:0], s.VisibleModel...)
	dst.HiddenData, dst.HiddenModel = append(dst.HiddenData[:0], s.HiddenData...), append(dst.HiddenModel[:0], s.HiddenModel...)
}

// Check reports statistics that are not those of a model of the given shape.
func (s *Statistics) Check(visible, hidden int) error {
	if s.Samples < 1 || s.Chains < 1 || s.Samples/gcd(s.Samples, s.Chains)*s.Chains >= 1<<31-1 {
		return fmt.Errorf("statistics of %d configurations and %d chains", s.Samples, s.Chains)
	}
	if len(s.Pairs) != visible*hidden || len(s.VisibleData) != visible || len(s.VisibleModel) != visible ||
		len(s.HiddenData) != hidden || len(s.HiddenModel) != hidden {
		return fmt.Errorf("statistics are not those of %d visible and %d hidden units", visible, hidden)
	}
	return nil
}

// Check reports rates that make no sense.
func (u *Update) Check() error {
	for _, x := range []struct {
		name    string
		v, most float64
	}{
		{"rate of weights", u.WeightRate, 1e6}, {"rate of biases", u.BiasRate, 1e6}, {"momentum", u.Momentum, 1},
		{"weight decay", u.WeightDecay, 1e6}, {"L1", u.L1, 1e6}, {"rate of the offsets", u.OffsetRate, 1},
	} {
		if !(x.v >= 0 && x.v <= x.most) {
			return fmt.Errorf("%s %v: want 0 to %v", x.name, x.v, x.most)
		}
	}
	return nil
}

// Check reports a state that is not that of a trainer of spec.
func (s *TrainerState) Check(spec *TrainerSpec) error {
	if s.Model == nil {
		return errors.New("training state has no model")
	}
	visible, hidden, ctx := spec.Model.Layers[0], spec.Model.Layers[1], Ending(s.Context)
	if err := s.Model.CheckContext(ctx); err != nil {
		return err
	}
	n := s.Model
	if len(n.Layers) != 2 || n.Layers[0] != visible || n.Layers[1] != hidden || len(n.Blocks) != 1 || len(n.Blocks[0].W) != visible*hidden {
		return fmt.Errorf("training state is not that of %d visible and %d hidden units", visible, hidden)
	}
	if s.Velocity != nil && len(s.Velocity) != visible*hidden+visible+hidden {
		return fmt.Errorf("%d velocities, want %d", len(s.Velocity), visible*hidden+visible+hidden)
	}
	if len(s.VisibleOffset) != visible || len(s.HiddenOffset) != hidden {
		return fmt.Errorf("%d and %d offsets for %d visible and %d hidden units", len(s.VisibleOffset), len(s.HiddenOffset), visible, hidden)
	}
	for _, x := range append(append([]float64(nil), s.VisibleOffset...), s.HiddenOffset...) {
		if !(x >= -1 && x <= 1) {
			return fmt.Errorf("offset %v, want −1 to 1", x)
		}
	}
	for i, v := range s.Velocity {
		if i%lookCouplings == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("velocity %v, want a finite number", v)
		}
	}
	want := len(spec.TemperatureBetas())
	if spec.Algorithm == CD {
		want = 0
	}
	if len(s.Chains) != want {
		return fmt.Errorf("chains at %d temperatures, want %d", len(s.Chains), want)
	}
	for r := range s.Chains {
		if err := CheckStates(&s.Chains[r], visible+hidden, spec.Chains); err != nil {
			return err
		}
	}
	return nil
}

// CopyTo copies the state, but for its Context, to dst.
func (s *TrainerState) CopyTo(dst *TrainerState) { _ = s.CopyContext(context.Background(), dst) }

// CopyContext is CopyTo that returns the context's error soon after ctx ends.
func (s *TrainerState) CopyContext(ctx context.Context, dst *TrainerState) error {
	var err error
	if dst.Model, err = copyModel(ctx, s.Model); err != nil {
		return err
	}
	if dst.Velocity, err = clone(ctx, s.Velocity); err != nil {
		return err
	}
	dst.Step = s.Step
	dst.VisibleOffset = append([]float64(nil), s.VisibleOffset...)
	dst.HiddenOffset = append([]float64(nil), s.HiddenOffset...)
	dst.Chains = nil
	for r := range s.Chains {
		c := s.Chains[r]
		if c.Bits, err = clone(ctx, c.Bits); err != nil {
			return err
		}
		dst.Chains = append(dst.Chains, c)
	}
	return nil
}

// CopyModel returns a deep copy of a model.
func CopyModel(n *spin.Net[float32]) *spin.Net[float32] {
	c, _ := copyModel(context.Background(), n)
	return c
}

func copyModel(ctx context.Context, n *spin.Net[float32]) (*spin.Net[float32], error) {
	c := &spin.Net[float32]{Layers: append([]int(nil), n.Layers...), Bias: append([]float32(nil), n.Bias...)}
	for _, b := range n.Blocks {
		var err error
		if b.W, err = clone(ctx, b.W); err != nil {
			return nil, err
		}
		b.RowPtr = append([]int(nil), b.RowPtr...)
		b.Col = append([]int32(nil), b.Col...)
		c.Blocks = append(c.Blocks, b)
	}
	return c, nil
}

// clone returns a copy of s, nil if it is empty.
func clone[T any](ctx context.Context, s []T) ([]T, error) {
	if len(s) == 0 {
		return nil, nil
	}
	dst := make([]T, len(s))
	return dst, CopyContext(ctx, dst, s)
}

// CopyContext copies src to dst, which is as long, and returns the context's
// error soon after ctx ends.
func CopyContext[T any](ctx context.Context, dst, src []T) error {
	const piece = 1 << 20
	for at := 0; at < len(src); at += piece {
		if err := ctx.Err(); err != nil {
			return err
		}
		copy(dst[at:], src[at:min(len(src), at+piece)])
	}
	return nil
}

// Ending returns the context that an argument's field holds, or one that never
// ends where that is nil.
func Ending(ctx context.Context) context.Context {
	if ctx == nil {
		return context.Background()
	}
	return ctx
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// Exchange reports whether configurations are exchanged at the draw u, for
// x = (β_r − β_s)·(E_r − E_s): with probability min(1, eˣ).
func Exchange(x float64, u uint32) bool {
	return x >= 0 || float64(u) < fmath.Exp(x)*(1<<32)
}
