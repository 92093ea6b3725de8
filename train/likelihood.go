package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"kadanoff/backend"
	"kadanoff/comm"
	"kadanoff/spin"
	"kadanoff/spin/fmath"
	"kadanoff/spin/philox"
)

// MaxExactUnits is the largest smaller layer for which ExactLogZ sums over all
// its states.
const MaxExactUnits = 30

// logSum adds numbers up by their logarithms, in the order in which they come.
type logSum struct{ top, sum float64 }

func (s *logSum) add(x float64) {
	switch {
	case s.sum == 0:
		s.top, s.sum = x, 1
	case x > s.top:
		s.sum = math.FMA(s.sum, fmath.Exp(s.top-x), 1)
		s.top = x
	default:
		s.sum += fmath.Exp(x - s.top)
	}
}

func (s *logSum) value() float64 { return s.top + fmath.Log(s.sum) }

// softplus is ln(1 + eˣ).
func softplus(x float64) float64 { return fmath.LnCosh2(x/2) + x/2 }

// blockBits is the logarithm of the number of states whose free energies are
// asked for at once, and enumerateBits of those that the backend enumerates for
// one process.
const (
	blockBits     = 12
	enumerateBits = 18
)

// ExactLogZ returns ln Z of an RBM, or of a machine with couplings inside layers,
// of ±1 units by summing over all states of one layer, the other summed out in
// each: Z = Σ_h e^(−F(h)). The backend enumerates the states of an RBM.
func ExactLogZ(ctx context.Context, be backend.Backend, q *spin.Network) (float64, error) {
	return ExactLogZOnRanks(ctx, be, q, comm.One(), nil)
}

// ExactLogZOnRanks is ExactLogZ with the states shared out to the processes of a
// group, in blocks whose sums are added up in their order: all processes have
// the same result, however many there are. progress, if not nil, is called now
// and then with the fraction of this process's part that is done.
func ExactLogZOnRanks(ctx context.Context, be backend.Backend, q *spin.Network, g comm.Group, progress func(float64)) (float64, error) {
	m := newMarginal(q)
	given, terms := m.cheapest()
	if math.IsInf(terms, 1) {
		return 0, errors.New("exact log Z: " + WantExact(q))
	}
	block, bits := m.enumerated(ctx, be, given), enumerateBits
	if backend.CheckRBM(q) != nil {
		block, bits = m.counted(ctx, be, given), blockBits
	}
	n := q.Layers[given]
	blocks := 1 << (n - min(n, bits))
	logs := make([]float64, blocks)
	from, to := blocks*g.Rank()/g.Size(), blocks*(g.Rank()+1)/g.Size()
	for high := from; high < to; high++ {
		x, err := block(high, min(n, bits), func(part float64) {
			if progress != nil {
				progress((float64(high-from) + part) / float64(to-from))
			}
		})
		if err != nil {
			return 0, err
		}
		logs[high] = x
	}
	// Nothing but zeros is added to them.
	if err := g.SumFloat64(logs); err != nil {
		return 0, err
	}
	var z logSum
	for _, x := range logs {
		z.add(x)
	}
	return z.value(), nil
}

// blockSum returns the logarithm of the sum over the states of a layer whose
// units from low on are the bits of high.
type blockSum func(high, low int, progress func(float64)) (float64, error)

// counted adds up the free energies of all states.
func (m *marginal) counted(ctx context.Context, be backend.Backend, given int) blockSum {
	var states *spin.Batch
	var f []float64
	return func(high, low int, progress func(float64)) (float64, error) {
		if states == nil {
			states = spin.NewBatch(m.q.Layers[given], 1<<low)
			f = make([]float64, states.Chains)
			for c := range states.Chains {
				for i := range low {
					states.Set(i, c, c>>i&1 != 0)
				}
			}
		}
		for i := low; i < m.q.Layers[given]; i++ {
			row, word := states.Row(i), uint64(0)
			if high>>(i-low)&1 != 0 {
				word = states.TailMask()
			}
			for w := range row {
				row[w] = word
			}
		}
		if err := m.free(ctx, be, given, states, f); err != nil {
			return 0, err
		}
		var z logSum
		for _, x := range f {
			z.add(-x)
		}
		progress(1)
		return z.value(), nil
	}
}

// enumerated has the backend enumerate an RBM without the highest units of a
// layer, whose couplings become biases of the other one: exactly, in integers.
func (m *marginal) enumerated(ctx context.Context, be backend.Backend, given int) blockSum {
	return func(high, low int, progress func(float64)) (float64, error) {
		job := backend.EnumerateRBMJob{Network: m.q, Progress: progress}
		own := int64(0)
		if low < m.q.Layers[given] {
			job.Network, own = m.fixed(given, high, low)
		}
		e, err := be.EnumerateRBM(ctx, &job)
		if err != nil {
			return 0, err
		}
		return e.LogZ + math.Ldexp(float64(own), -int(m.q.Frac)), nil
	}
}

// fixed returns the RBM that is left when the units of a layer from low on are
// held at the bits of high, and minus the energy of their own biases.
func (m *marginal) fixed(given, high, low int) (*spin.Network, int64) {
	q := m.q
	n, others := q.Layers[given], q.Layers[1-given]
	first, firstOther := q.First(given), q.First(1-given)
	out := &spin.Network{Net: spin.Net[int32]{Layers: slices.Clone(q.Layers)}, Frac: q.Frac}
	out.Layers[given] = low
	var bias [2][]int32
	bias[given], bias[1-given] = q.Bias[first:][:low], slices.Clone(q.Bias[firstOther:][:others])
	w := make([]int32, 0, low*others)
	own := int64(0)
	for a := low; a < n; a++ {
		own += int64(high>>(a-low)&1*2-1) * int64(q.Bias[first+a])
	}
	q.Blocks[0].Each(q.Layers[1], func(i, j int, x int32) {
		a, other := i, j
		if given == 1 {
			a, other = j, i
		}
		if a < low {
			w = append(w, x)
			return
		}
		bias[1-given][other] += int32(high>>(a-low)&1*2-1) * x
	})
	out.Bias = slices.Concat(bias[0], bias[1])
	out.Blocks = []spin.Block[int32]{{A: 0, B: 1, W: w}}
	return out, own
}

// MeanFreeEnergy returns the mean of F(v) over a source in epoch 0, and its
// standard error over the configurations.
func MeanFreeEnergy(ctx context.Context, be backend.Backend, q *spin.Network, s Source) (mean, stderr float64, err error) {
	return MeanFreeEnergyOnRanks(ctx, be, q, s, comm.One())
}

// MeanFreeEnergyOnRanks is MeanFreeEnergy with the configurations shared out to
// the processes of a group, 4096 at a time; all of them add all up in their
// order, so that the result does not depend on how many there are.
func MeanFreeEnergyOnRanks(ctx context.Context, be backend.Backend, q *spin.Network, s Source, g comm.Group) (mean, stderr float64, err error) {
	const at = 4096
	sum, square := 0.0, 0.0
	var first float64
	own := make([]float64, at)
	m := newMarginal(q)
	if !m.sums(0) {
		return 0, 0, fmt.Errorf("free energies: %d hidden units coupled to each other, want at most %d", q.Layers[1], maxSummed)
	}
	for round := 0; round < s.Rows(); round += at * g.Size() {
		if from := round + at*g.Rank(); from < s.Rows() {
			b, err := Load(s, from, min(s.Rows(), from+at), 0)
			if err != nil {
				return 0, 0, err
			}
			if err := m.free(ctx, be, 0, b, own[:b.Chains]); err != nil {
				return 0, 0, err
			}
		}
		f := own
		if g.Size() > 1 {
			all, err := g.Gather(comm.Bytes(own))
			if err != nil {
				return 0, 0, err
			}
			f = make([]float64, at*g.Size())
			copy(comm.Bytes(f), all)
		}
		f = f[:min(len(f), s.Rows()-round)]
		if round == 0 {
			first = f[0]
		}
		for _, x := range f {
			d := x - first // squares of small numbers lose less
			sum += d
			square = math.FMA(d, d, square)
		}
	}
	n := float64(s.Rows())
	mean = sum / n
	variance := math.Max(0, square/n-float64(mean*mean))
	return first + mean, math.Sqrt(variance / n), nil
}

// AISConfig says how annealed importance sampling is done.
type AISConfig struct {
	Chains       int
	Temperatures int // points of the path between the base-rate model and the model
	BurnIn       int // sweeps of the model's chains before they are annealed back
	Seed         uint64
	Base         []float64 // biases of the base-rate model's visible units, as BaseRates makes them
	// Start holds configurations from which the chains of the reverse run begin
	// their burn-in; they are repeated as needed.
	Start *spin.Batch
	Log   func(format string, args ...any)
	// Group is the processes that share the chains of AnnealedImportance and
	// Raise, which give all of them the same; nil for this one alone.
	Group comm.Group
}

// Check reports what is wrong, naming the flag.
func (c *AISConfig) Check() error {
	switch {
	case c.Chains < 2:
		return fmt.Errorf("--chains %d: want at least 2", c.Chains)
	case c.Temperatures < 2 || c.Temperatures > 1<<22:
		return fmt.Errorf("--temperatures %d: want 2 to %d", c.Temperatures, 1<<22)
	case c.BurnIn < 0:
		return fmt.Errorf("--burn-in %d: want 0 or more", c.BurnIn)
	}
	return nil
}

// share returns the processes of the job and the chains [from, to) of this one.
func (c *AISConfig) share(chains int) (g comm.Group, from, to int, err error) {
	g = c.Group
	if g == nil {
		g = comm.One()
	}
	if chains < g.Size() {
		return nil, 0, 0, fmt.Errorf("%d chains: want at least one for each of %d processes", chains, g.Size())
	}
	from, to = share(chains, g.Size(), g.Rank())
	return g, from, to, nil
}

// Estimate is the logarithm of a mean of weights.
type Estimate struct {
	LogMean       float64 // ln of the mean weight
	StandardError float64 // of LogMean, to first order
	SampleSize    float64 // effective: (Σw)²/Σw²
}

// estimate returns the logarithm of the mean of e^x.
func estimate(x []float64) Estimate {
	var one, two logSum
	for _, v := range x {
		one.add(v)
		two.add(2 * v)
	}
	n := float64(len(x))
	ess := fmath.Exp(math.Min(0, 2*one.value()-two.value()-fmath.Log(n))) * n
	return Estimate{
		LogMean:       one.value() - fmath.Log(n),
		StandardError: math.Sqrt(math.Max(0, (1/ess-1/n)*n/(n-1))),
		SampleSize:    ess,
	}
}

// AIS is an estimate of ln Z from both ends.
type AIS struct {
	// LogZ is from chains that go from the base-rate model to the model: its
	// expectation is at most ln Z.
	LogZ, StandardError, SampleSize float64
	// LogZReverse is from chains of the model that go back. Its expectation is
	// at least ln Z as far as the chains were samples of the model.
	LogZReverse, ReverseError, ReverseSampleSize float64
	LogZBase                                     float64
}

// Bounds on an estimate that is reported without a word of doubt.
const (
	endsApart    = 1.0 // nats between the estimates of ln Z from both ends
	fewestChains = 10  // effective sample size
)

// Doubts says, a sentence each, why the estimate is not to be trusted: ends
// that are more than a nat apart, an effective sample size below 10, of which
// a standard error says little, or an estimate from the model that lies below
// the one from the base-rate model by more than five standard errors, where
// both bounds cannot hold. Nil for none.
func (z *AIS) Doubts() []string {
	var list []string
	apart := z.LogZReverse - z.LogZ
	if !(math.Abs(apart) <= endsApart) {
		list = append(list, fmt.Sprintf("the ends are %.3g nats apart: the likelihood lies between them and the higher one flatters, want more --temperatures", math.Abs(apart)))
	}
	for _, end := range []struct {
		from string
		size float64
	}{{"from the base-rate model", z.SampleSize}, {"back from the model", z.ReverseSampleSize}} {
		if !(end.size >= fewestChains) {
			list = append(list, fmt.Sprintf("%s the effective sample size is %.3g: its end is biased by more than its standard error says, want more --temperatures or --chains", end.from, end.size))
		}
	}
	if apart < -5*math.Hypot(z.StandardError, z.ReverseError) {
		list = append(list, "the end from the model lies below the other: its chains are not samples of the model yet, want more --burn-in")
	}
	return list
}

// path is a way between the base-rate model and the model in steps of the
// interpolation, from 0 to backend.MixOne.
type path []uint32

// AnnealedImportance estimates ln Z of the ±1 model by annealed importance
// sampling (Neal 2001; Salakhutdinov and Murray 2008) from a base-rate model,
// whose visible biases and no weights the path begins with, and by the same
// path walked from the model's end.
//
// Along the path the points lie closer where the weights of a pilot run vary
// more.
func AnnealedImportance(ctx context.Context, be backend.Backend, q *spin.Network, c AISConfig) (*AIS, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if c.Start == nil || c.Start.Chains == 0 {
		return nil, errors.New("annealing back from the model needs configurations to start from")
	}
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	w, err := newWalk(be, q, &c)
	if err != nil {
		return nil, err
	}
	way, err := w.fitted(ctx, c.Temperatures)
	if err != nil {
		return nil, err
	}
	c.Log("from the base-rate model: %d chains at %d temperatures", c.Chains, len(way))
	g, from, to, err := c.share(c.Chains)
	if err != nil {
		return nil, err
	}
	x, err := w.forward(ctx, way, from, to, 0, nil)
	if err != nil {
		return nil, err
	}
	if x, err = together(g, x, from, c.Chains); err != nil {
		return nil, err
	}
	up := estimate(x)
	c.Log("from the model: %d sweeps of burn-in, then back", c.BurnIn)
	s, err := w.sampler(from, to, backend.MixOne, modelSweeps)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if err := w.set(s, repeated(c.Start, from, to)); err != nil {
		return nil, err
	}
	if err := s.Sweep(ctx, c.BurnIn); err != nil {
		return nil, err
	}
	y, err := w.along(ctx, s, way.reversed(), to-from, nil)
	if err != nil {
		return nil, err
	}
	if y, err = together(g, y, from, c.Chains); err != nil {
		return nil, err
	}
	down := estimate(y)
	return &AIS{
		LogZ: w.logZ0 + up.LogMean, StandardError: up.StandardError, SampleSize: up.SampleSize,
		LogZReverse: w.logZ0 - down.LogMean, ReverseError: down.StandardError, ReverseSampleSize: down.SampleSize,
		LogZBase: w.logZ0,
	}, nil
}

// Raise estimates the log-likelihood of each configuration under the
// distribution that annealing in as many temperatures makes, from below on
// average (reverse AIS estimator; Burda, Grosse and Salakhutdinov 2015): chains
// start at the configuration and are annealed back to the base-rate model. It
// returns the mean over the configurations and its standard error.
func Raise(ctx context.Context, be backend.Backend, q *spin.Network, c AISConfig, data *spin.Batch) (mean, stderr float64, err error) {
	if err := c.Check(); err != nil {
		return 0, 0, err
	}
	w, err := newWalk(be, q, &c)
	if err != nil {
		return 0, 0, err
	}
	way, err := w.fitted(ctx, c.Temperatures)
	if err != nil {
		return 0, 0, err
	}
	each := max(1, c.Chains/data.Chains)
	n := data.Chains * each
	g, from, to, err := c.share(n)
	if err != nil {
		return 0, 0, err
	}
	s, err := w.sampler(from, to, backend.MixOne, raiseSweeps)
	if err != nil {
		return 0, 0, err
	}
	defer s.Close()
	if err := w.set(s, repeated(data, from, to)); err != nil {
		return 0, 0, err
	}
	f := make([]float64, 2*(to-from))
	if err := w.energies(ctx, s, backend.MixOne, backend.MixOne, f); err != nil {
		return 0, 0, err
	}
	if err := s.Sweep(ctx, 1); err != nil {
		return 0, 0, err
	}
	x, err := w.along(ctx, s, way.reversed(), to-from, nil)
	if err != nil {
		return 0, 0, err
	}
	for c := range x {
		x[c] -= f[c]
	}
	if x, err = together(g, x, from, n); err != nil {
		return 0, 0, err
	}
	sum, square := 0.0, 0.0
	for d := range data.Chains {
		var z logSum
		for c := d; c < n; c += data.Chains {
			z.add(x[c] - w.logZ0)
		}
		l := z.value() - fmath.Log(float64(each))
		sum += l
		square = math.FMA(l, l, square)
	}
	rows := float64(data.Chains)
	mean = sum / rows
	return mean, math.Sqrt(math.Max(0, square/rows-float64(mean*mean)) / rows), nil
}

// walk runs chains along paths.
type walk struct {
	be    backend.Backend
	q     *spin.Network
	c     *AISConfig
	base  []int32
	logZ0 float64
	state *spin.Batch
}

func newWalk(be backend.Backend, q *spin.Network, c *AISConfig) (*walk, error) {
	w := &walk{be: be, q: q, c: c, base: make([]int32, q.Units())}
	if len(c.Base) != q.Layers[0] {
		return nil, fmt.Errorf("%d biases of the base-rate model for %d visible units", len(c.Base), q.Layers[0])
	}
	for i, b := range c.Base {
		x := math.RoundToEven(math.Ldexp(b, int(q.Frac)))
		if !(math.Abs(x) < 1<<31) {
			return nil, fmt.Errorf("bias %v of the base-rate model does not fit %d fraction bits", b, q.Frac)
		}
		w.base[i] = int32(x)
	}
	for i := range w.base { // hidden units of the base-rate model are fair coins
		w.logZ0 += fmath.LnCosh2(math.Ldexp(float64(w.base[i]), -int(q.Frac)))
	}
	return w, nil
}

// together returns the weights of all n chains on every rank, given this rank's
// from chain from on. Nothing but zeros is added to them.
func together(g comm.Group, own []float64, from, n int) ([]float64, error) {
	x := make([]float64, n)
	copy(x[from:], own)
	return x, g.SumFloat64(x)
}

// sampler starts chains [from, to) at a point of the path.
func (w *walk) sampler(from, to int, mix uint32, sweep uint64) (backend.Sampler, error) {
	return w.be.NewSampler(backend.SamplerSpec{
		Network: w.q, Chains: to - from, FirstChain: uint32(from), Seed: w.c.Seed, Stream: philox.AIS, FirstSweep: sweep,
		Base: w.base, Mix: mix,
	})
}

// First sweeps of the runs, far enough apart that no two share a draw.
const (
	modelSweeps = 1 << 40
	raiseSweeps = 2 << 40
	pilotSweeps = 3 << 40
)

// repeated returns configurations [from, to) of those of b over and over.
func repeated(b *spin.Batch, from, to int) *spin.Batch {
	out := spin.NewBatch(b.Units, to-from)
	for i := range b.Units {
		for c := range to - from {
			out.Set(i, c, b.Up(i, (from+c)%b.Chains))
		}
	}
	return out
}

// set puts visible units into a sampler; the first thing a sweep does is to
// draw hidden ones.
func (w *walk) set(s backend.Sampler, visible *spin.Batch) error {
	all := spin.NewBatch(w.q.Units(), visible.Chains)
	all.Rows(0, visible.Units).CopyFrom(visible)
	return s.SetState(all)
}

// joint returns E of the chains' states at points a and b of the path, as
// energies does F.
func (w *walk) joint(ctx context.Context, a, b uint32, f []float64) error {
	n := len(f) / 2
	e := make([]int64, n)
	if err := w.be.Energy(ctx, backend.EnergyJob{Network: w.q, States: w.state}, e); err != nil {
		return err
	}
	for c := range n {
		base := int64(0)
		for u, x := range w.base {
			base -= int64(x) * int64(w.state.Spin(u, c))
		}
		for k, m := range []uint32{a, b} {
			f[k*n+c] = math.Ldexp(math.FMA(float64(m), float64(e[c]-base), math.Ldexp(float64(base), 24)), -24-int(w.q.Frac))
		}
	}
	return nil
}

// energies returns F at points a and b of the path for the chains' visible
// units: f[0:chains] at a, the rest at b.
func (w *walk) energies(ctx context.Context, s backend.Sampler, a, b uint32, f []float64) error {
	if w.state == nil || w.state.Chains != len(f)/2 {
		w.state = spin.NewBatch(w.q.Units(), len(f)/2)
	}
	if err := s.State(w.state); err != nil {
		return err
	}
	if backend.CheckRBM(w.q) != nil { // nothing can be summed out
		return w.joint(ctx, a, b, f)
	}
	return w.be.FreeEnergy(ctx, backend.FreeEnergyJob{
		Network: w.q, Summed: 1, States: w.state.Rows(0, w.q.Layers[0]), Base: w.base, Mix: []uint32{a, b},
	}, f)
}

// along walks the chains of a sampler from point to point of a way, in either
// direction, and returns the logarithms of their weights: Σ_k F_k(v_k) −
// F_{k+1}(v_k), where v_k are the visible units at point k, one sweep from
// those before. spread, if not nil, receives the variance of each term.
func (w *walk) along(ctx context.Context, s backend.Sampler, way path, chains int, spread []float64) ([]float64, error) {
	x := make([]float64, chains)
	if a, ok := s.(backend.Annealer); ok {
		if done, err := a.Anneal(ctx, w.q.Bias, way, x, spread); done || err != nil {
			return x, err
		}
	}
	f, d := make([]float64, 2*chains), make([]float64, chains)
	for k := 0; k+1 < len(way); k++ {
		if err := w.energies(ctx, s, way[k], way[k+1], f); err != nil {
			return nil, err
		}
		for c := range x {
			d[c] = f[c] - f[chains+c]
			x[c] += d[c]
		}
		if spread != nil {
			spread[k] = backend.Spread(d)
		}
		if k+2 == len(way) {
			break
		}
		if err := s.SetMix(way[k+1]); err != nil {
			return nil, err
		}
		if err := s.Sweep(ctx, 1); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// forward anneals new chains [from, to) from the base-rate model along the way.
func (w *walk) forward(ctx context.Context, way path, from, to int, sweep uint64, spread []float64) ([]float64, error) {
	s, err := w.sampler(from, to, way[0], sweep)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	// One sweep at the base-rate model draws from it, whatever came before.
	if err := s.Sweep(ctx, 1); err != nil {
		return nil, err
	}
	return w.along(ctx, s, way, to-from, spread)
}

// reversed returns the way walked from its other end.
func (p path) reversed() path {
	r := slices.Clone(p)
	slices.Reverse(r)
	return r
}

// Pilot run of fitted.
const (
	pilotPoints = 101
	pilotChains = 64
)

// fitted returns a path of n points on which the standard deviations of the
// weights' terms, as a pilot run in equal steps sees them, are about the same.
// A tenth of the points stay equally spaced, since the pilot may not see all.
func (w *walk) fitted(ctx context.Context, n int) (path, error) {
	even := make(path, pilotPoints)
	for k := range even {
		even[k] = uint32(k * backend.MixOne / (pilotPoints - 1))
	}
	spread := make([]float64, pilotPoints-1)
	if _, err := w.forward(ctx, even, 0, pilotChains, pilotSweeps, spread); err != nil {
		return nil, err
	}
	cumulative := make([]float64, pilotPoints)
	total := 0.0
	for k, v := range spread {
		spread[k] = math.Sqrt(v)
		total += spread[k]
	}
	for k, v := range spread {
		cumulative[k+1] = cumulative[k] + float64(0.9*v)/math.Max(total, 1e-300) + 0.1/(pilotPoints-1)
	}
	last := cumulative[pilotPoints-1]
	way := path{0}
	for i, k := 1, 0; i < n-1; i++ {
		at := last * float64(i) / float64(n-1)
		for k+2 < pilotPoints && cumulative[k+1] < at {
			k++
		}
		part := (at - cumulative[k]) / (cumulative[k+1] - cumulative[k])
		m := uint32((float64(k) + math.Min(1, part)) / (pilotPoints - 1) * backend.MixOne)
		if m > way[len(way)-1] && m < backend.MixOne {
			way = append(way, m)
		}
	}
	return append(way, backend.MixOne), nil
}
