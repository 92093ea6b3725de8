package experiment

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/interp"
	"gonum.org/v1/gonum/mat"

	"kadanoff/backend"
	"kadanoff/exact"
	"kadanoff/model/stats"
	"kadanoff/model/thermometer"
	"kadanoff/spin"
)

// point is what configurations that started at one temperature have come to
// after some steps: means over the configurations with their standard errors.
type point struct {
	Step         int      `json:"step"`
	Temperature  estimate `json:"temperature"` // that the thermometer reads
	Abs          estimate `json:"abs_magnetization"`
	Energy       estimate `json:"energy"`       // a site
	Distribution []number `json:"distribution"` // over the grid, as the thermometer has it
}

// start is the flow from one temperature.
type start struct {
	Temperature number   `json:"temperature"`
	Points      []point  `json:"points"`
	Pictures    []string `json:"pictures,omitempty"` // the first configuration after each step recorded, + and -
}

// path is one kind of flow through one machine.
type path struct {
	Kind   string  `json:"kind"`
	Starts []start `json:"starts"`
	// End is what the thermometer reads after the last step, the mean over all
	// starts; Memory is how far what started hottest then lies above what
	// started coldest.
	End    estimate `json:"end"`
	Memory estimate `json:"memory"`
	// EndEnergy is the temperature at which the lattice has the mean energy of
	// the configurations after the last step.
	EndEnergy estimate `json:"end_by_energy"`
	// Fixed is the starting temperature at which one step of the flow leaves
	// the reading where it is; colder starts are heated, hotter ones cooled. Not
	// a number where there is none.
	Fixed estimate `json:"fixed"`
	// Lost counts the replicas of the bootstrap without a Fixed.
	Lost int `json:"lost"`
}

// flowFile is what a machine's step leaves.
type flowFile struct {
	Paths    []path   `json:"paths"`
	Spectrum []number `json:"spectrum"` // eigenvalues of W Wᵀ, the largest first
	// Uniform is the square of the overlap of the first eigenvector with the
	// uniform one, (Σu_i)²/M.
	Uniform number `json:"uniform"`
}

// starts returns which temperatures of the grid flows start from.
func (s *Iso) starts() []int {
	n := min(7, s.Temperatures)
	out := make([]int, n)
	for i := range out {
		out[i] = int(math.Round(float64(i*(s.Temperatures-1)) / float64(n-1)))
	}
	return out
}

func flowPath(m machine) string { return fmt.Sprintf("flows/%v.json", m) }

// flows sends the fresh configurations through the machines, and reads the
// thermometer's calibration.
func (e *iso) flows(ctx context.Context) error {
	th, err := thermometer.Load(e.path(thermometerFile))
	if err != nil {
		return err
	}
	if err := e.step("calibration", []string{"calibration.json"}, func() error {
		set := e.readings(e.fresh, e.Fresh)
		list, err := th.Calibrate(set, e.Threads)
		if err != nil {
			return err
		}
		entropy := crossEntropy(th, set)
		e.log("thermometer: cross entropy %.4f on fresh configurations", entropy)
		return e.put("calibration.json", calibration{list, number(entropy)})
	}); err != nil {
		return err
	}
	energies, err := newEnergies(e.Lattice, e.TMax)
	if err != nil {
		return err
	}
	list := e.machines()
	return e.each(ctx, len(list), func(ctx context.Context, be backend.Backend, i int) error {
		m := list[i]
		return e.step("flow-"+m.String(), []string{flowPath(m)}, func() error {
			network, w, err := load(e.path(modelPath(m)), e.Lattice*e.Lattice, m.hidden)
			if err != nil {
				return err
			}
			var out flowFile
			if out.Spectrum, out.Uniform, err = spectrum(w.W, e.Lattice*e.Lattice, m.hidden); err != nil {
				return fmt.Errorf("machine %v: %w", m, err)
			}
			for _, kind := range []string{sampled, meanField} {
				p, err := e.flow(ctx, be, th, energies, m, network, kind)
				if err != nil {
					return fmt.Errorf("flow through %v: %w", m, err)
				}
				out.Paths = append(out.Paths, *p)
			}
			e.log("machine %v: flow ends at T = %.3f ± %.3f", m, float64(out.Paths[0].End.Value), float64(out.Paths[0].End.Error))
			return e.put(flowPath(m), out)
		})
	})
}

// calibration is what the thermometer makes of the fresh configurations.
type calibration struct {
	Readings []thermometer.Calibration `json:"readings"`
	// CrossEntropy is the mean of −ln of the probability that it gives the true
	// temperature.
	CrossEntropy number `json:"cross_entropy"`
}

func crossEntropy(th *thermometer.Thermometer, set *thermometer.Set) float64 {
	sum := 0.
	x := make([]float64, set.Inputs)
	for r, class := range set.Class {
		for i := range x {
			x[i] = float64(set.X[r*set.Inputs+i])
		}
		sum -= math.Log(th.Probabilities(x)[class])
	}
	return sum / float64(len(set.Class))
}

// flow carries out one kind of flow through a machine.
func (e *iso) flow(ctx context.Context, be backend.Backend, th *thermometer.Thermometer, energies *energies, m machine, network *spin.Network, kind string) (*path, error) {
	starts, sites := e.starts(), e.Lattice*e.Lattice
	chains := len(starts) * e.Fresh
	x := make([]float64, chains*sites)
	for k, t := range starts {
		for i, s := range e.fresh[t*e.Fresh*sites : (t+1)*e.Fresh*sites] {
			x[k*e.Fresh*sites+i] = float64(s)
		}
	}
	next, closing, err := stepper(be, network, kind, seedOf(e.Seed, "flow "+m.String()), x)
	if err != nil {
		return nil, err
	}
	defer closing()
	p := &path{Kind: kind, Starts: make([]start, len(starts))}
	for k, t := range starts {
		p.Starts[k].Temperature = number(e.grid()[t])
	}
	var readings [][]float64 // [recorded][chain]
	var last []float64       // energies after the last step
	at := 0
	for _, step := range recorded(e.FlowSteps) {
		for ; at < step; at++ {
			if err := next(ctx); err != nil {
				return nil, err
			}
		}
		read, distribution := make([]float64, chains), make([]float64, chains*len(th.Temperatures))
		energy, abs := make([]float64, chains), make([]float64, chains)
		for c := range chains {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			row := x[c*sites : (c+1)*sites]
			probabilities := th.Probabilities(row)
			copy(distribution[c*len(probabilities):], probabilities)
			for i, q := range probabilities {
				read[c] += float64(q * th.Temperatures[i])
			}
			energy[c], abs[c] = observe(row, e.Lattice)
		}
		for k := range starts {
			from, to := k*e.Fresh, (k+1)*e.Fresh
			point := point{Step: step, Temperature: average(read[from:to]), Abs: average(abs[from:to]), Energy: average(energy[from:to])}
			for i := range th.Temperatures {
				sum := 0.
				for c := from; c < to; c++ {
					sum += distribution[c*len(th.Temperatures)+i]
				}
				point.Distribution = append(point.Distribution, number(sum/float64(e.Fresh)))
			}
			p.Starts[k].Points = append(p.Starts[k].Points, point)
			if kind == sampled {
				p.Starts[k].Pictures = append(p.Starts[k].Pictures, picture(x[from*sites:(from+1)*sites]))
			}
		}
		readings, last = append(readings, read), energy
	}
	return p, p.conclude(readings, last, energies, e.Fresh, seedOf(e.Seed, fmt.Sprintf("bootstrap %v %s", m, kind)))
}

// observe returns the energy a site and the absolute magnetisation of a
// configuration, which may be of means.
func observe(x []float64, side int) (energy, abs float64) {
	var e, m float64
	for y := range side {
		for i := range side {
			v := x[y*side+i]
			e -= float64(v*x[y*side+(i+1)%side]) + float64(v*x[(y+1)%side*side+i])
			m += v
		}
	}
	n := float64(len(x))
	return e / n, math.Abs(m) / n
}

// picture writes a configuration as + and -.
func picture(x []float64) string {
	text := make([]byte, len(x))
	for i, v := range x {
		text[i] = '-'
		if v > 0 {
			text[i] = '+'
		}
	}
	return string(text)
}

// conclude finds where a flow goes, with bootstrap errors over the
// configurations: readings are [recorded][chain], the chains of a start one
// after another, and last the energies at the end.
func (p *path) conclude(readings [][]float64, last []float64, energies *energies, each int, seed uint64) error {
	starts := len(p.Starts)
	sizes := make([]int, starts)
	t := make([]float64, starts)
	for k := range sizes {
		sizes[k], t[k] = each, float64(p.Starts[k].Temperature)
	}
	mean := func(x []float64, draws [][]int, k int) float64 {
		sum := 0.
		for _, i := range draws[k] {
			sum += x[k*each+i]
		}
		return sum / float64(len(draws[k]))
	}
	overall := func(x []float64, draws [][]int) float64 {
		sum := 0.
		for k := range draws {
			sum += mean(x, draws, k)
		}
		return sum / float64(len(draws))
	}
	end := readings[len(readings)-1]
	change := make([]float64, len(end))
	for c := range change {
		change[c] = readings[1][c] - readings[0][c]
	}
	drift := make([]float64, starts)
	for _, c := range []struct {
		to   *estimate
		lost *int
		f    func(draws [][]int) float64
	}{
		{&p.End, nil, func(draws [][]int) float64 { return overall(end, draws) }},
		{&p.Memory, nil, func(draws [][]int) float64 { return mean(end, draws, starts-1) - mean(end, draws, 0) }},
		{&p.EndEnergy, nil, func(draws [][]int) float64 { return energies.temperature(overall(last, draws)) }},
		{&p.Fixed, &p.Lost, func(draws [][]int) float64 {
			for k := range drift {
				drift[k] = mean(change, draws, k)
			}
			return root(t, drift)
		}},
	} {
		r, err := stats.Bootstrap(sizes, bootstraps, seed, c.f)
		if err != nil {
			return err
		}
		*c.to = estimate{number(r.Value), number(r.Error)}
		if c.lost != nil {
			*c.lost = r.Failed
		}
	}
	return nil
}

// root returns where the line through the points (x, y), x rising, falls
// through zero, or NaN where it does not; the first such place from below.
func root(x, y []float64) float64 {
	for i := 1; i < len(x); i++ {
		if y[i-1] > 0 && y[i] <= 0 {
			return x[i-1] + (x[i]-x[i-1])*y[i-1]/(y[i-1]-y[i])
		}
	}
	return math.NaN()
}

// spectrum returns the eigenvalues of W Wᵀ, the largest first, and the square
// of the overlap of the first eigenvector with the uniform one.
func spectrum(w []float32, visible, hidden int) ([]number, number, error) {
	dense := mat.NewDense(visible, hidden, nil)
	for i, x := range w {
		dense.Set(i/hidden, i%hidden, float64(x))
	}
	var svd mat.SVD
	if !svd.Factorize(dense, mat.SVDThinU) {
		return nil, 0, fmt.Errorf("singular values of the weights did not converge")
	}
	values := svd.Values(nil)
	out := make([]number, visible)
	for i, s := range values {
		out[i] = number(s * s)
	}
	var u mat.Dense
	svd.UTo(&u)
	sum := 0.
	for i := range visible {
		sum += u.At(i, 0)
	}
	return out, number(sum * sum / float64(visible)), nil
}

// energies turns energies of a torus into temperatures.
type energies struct {
	t    interp.FritschButland // of the energy a site
	most float64               // last energy of the table
}

// newEnergies tabulates Kaufman's energy up to twice tMax, finely enough for an
// error of 1e-4 of a temperature from T = 0.5 up.
func newEnergies(side int, tMax float64) (*energies, error) {
	t, e := []float64{0}, []float64{-2}
	for x := 0.3; x < 2*tMax; x += 0.04 * math.Max(1, x/2) {
		torus, err := exact.NewTorus(side, x)
		if err != nil {
			return nil, err
		}
		if energy := torus.Energy(); energy > e[len(e)-1] {
			t, e = append(t, x), append(e, energy)
		}
	}
	out := &energies{most: e[len(e)-1]}
	return out, out.t.Fit(e, t)
}

// temperature returns the temperature at which the lattice has an energy a
// site, or NaN beyond the table.
func (s *energies) temperature(e float64) float64 {
	if e > s.most {
		return math.NaN()
	}
	return math.Max(0, s.t.Predict(math.Max(e, -2)))
}

// resample writes n draws with replacement from a list to dst, as counts.
func resample(rng *rand.Rand, dst []float64, from []int) {
	for range from {
		dst[from[rng.IntN(len(from))]]++
	}
}
