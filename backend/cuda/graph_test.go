//go:build gpu && cgo

package cuda

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	"kadanoff/backend/ref"
	kernels "kadanoff/kernels/cuda"
	"kadanoff/spin"
)

type sweeper interface {
	Sweep(ctx context.Context, n int) error
}

// sweep does n sweeps as one piece, however long they take.
func sweep(s sweeper, n int) error {
	inOnePiece(s, n)
	return s.Sweep(context.Background(), n)
}

// inOnePiece lets the next call do n sweeps as one piece.
func inOnePiece(s sweeper, n int) {
	switch s := s.(type) {
	case *spread:
		s.pace.part = n
	case *ising:
		s.pace.part = n
	}
}

// shapes are samplers whose sweeps differ in what they launch.
func shapes(t *testing.T) map[string]backend.SamplerSpec {
	t.Helper()
	base := make([]int32, 35+19)
	for i := range base {
		base[i] = int32(i%17-8) << 18
	}
	rbm := quantized(t, backendtest.RandomRBM(35, 19, 1, 1))
	every := func(n int) backend.MomentSpec { return backend.MomentSpec{Means: true, Edges: true, Every: n} }
	return map[string]backend.SamplerSpec{
		"rbm":       {Network: rbm, Chains: 70, FirstSweep: 1<<32 - 3},
		"base":      {Network: rbm, Chains: 70, Base: base, Mix: 1 << 23},
		"torus":     {Network: quantized(t, backendtest.Torus(7, 1, 0.25)), Chains: 70},
		"boltzmann": {Network: quantized(t, backendtest.RandomBoltzmann(9, 5, 0.5, 1)), Chains: 70},
		"moments":   {Network: rbm, Chains: 70, Moments: every(1)},
		"every 3":   {Network: rbm, Chains: 70, Moments: every(3)},
		"every 17":  {Network: rbm, Chains: 70, Moments: every(mostPeriod + 1)},
	}
}

// A call of many sweeps copies nothing. For a small network it is one launch; for
// others, from the second of its kind on it
// is a graph for each power of two in their number: what a sweep launches are
// its kernels, and one more moves the clock on. A single sweep is launched as it
// is, and the clock after it.
func TestGraphs(t *testing.T) {
	counter := simulated(t)
	whole, b := open(t), open(t)
	b.devices[0].units = 0
	type traffic struct{ launches, graphs, nodes, to, from int }
	read := func() traffic {
		return traffic{counter(simLaunches), counter(simGraphs), counter(simNodes), counter(simToDevice), counter(simFromDevice)}
	}
	try := func(t *testing.T, s sweeper, sweeps int, first, third traffic) {
		t.Helper()
		for call := range 3 {
			x := read()
			if err := sweep(s, sweeps); err != nil {
				t.Fatal(err)
			}
			y := read()
			got := traffic{y.launches - x.launches, y.graphs - x.graphs, y.nodes - x.nodes, y.to - x.to, y.from - x.from}
			if want := []traffic{first, got, third}[call]; got != want {
				t.Errorf("call %d of %d sweeps: %+v, want %+v", call, sweeps, got, want)
			}
		}
	}
	specs := shapes(t)
	for _, c := range []struct {
		name         string
		sweeps       int
		first, third traffic
	}{
		{"rbm", 1, traffic{launches: 2}, traffic{launches: 2}},
		{"rbm", 8, traffic{launches: 16}, traffic{graphs: 1, nodes: 17}},
		{"rbm", 5, traffic{launches: 10}, traffic{launches: 3, graphs: 1, nodes: 9}},
		{"rbm", 300, traffic{launches: 2*128 + 1 + 2*44, graphs: 1, nodes: 257}, traffic{graphs: 5, nodes: 605}},
		{"torus", 8, traffic{launches: 32}, traffic{graphs: 1, nodes: 33}}, // an odd side takes four colours
		{"moments", 8, traffic{launches: 40}, traffic{graphs: 1, nodes: 41}},
		{"every 3", 6, traffic{launches: 18}, traffic{graphs: 1, nodes: 19}},
		{"every 17", 17, traffic{launches: 37}, traffic{launches: 6, graphs: 1, nodes: 33}},
		{"small rbm", 8, traffic{launches: 1}, traffic{launches: 1}},
		{"small moments", 8, traffic{launches: 32}, traffic{graphs: 1, nodes: 33}},
		{"small every 3", 6, traffic{launches: 8}, traffic{graphs: 1, nodes: 9}},
		{"small every 17", 17, traffic{launches: 4}, traffic{launches: 4}},
		{"small torus", 8, traffic{launches: 32}, traffic{graphs: 1, nodes: 33}}, // not dense
	} {
		t.Run(fmt.Sprintf("%s-%d", c.name, c.sweeps), func(t *testing.T) {
			b := b
			name, isSmall := strings.CutPrefix(c.name, "small ")
			if isSmall {
				b = whole
			}
			s, err := b.NewSampler(specs[name])
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			try(t, s, c.sweeps, c.first, c.third)
		})
	}
	t.Run("lattice", func(t *testing.T) {
		l, err := b.NewLattice(backend.LatticeSpec{Width: 64, Height: 64, Replicas: 2, Temperatures: []float64{2}})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		try(t, l, 8, traffic{launches: 32}, traffic{graphs: 1, nodes: 33})
	})
}

// Calls of any lengths, with other weights, temperatures and interpolations
// between them, come to the same as on the reference backend.
func TestGraphsFollow(t *testing.T) {
	bothWays(t, testGraphsFollow)
}

func testGraphsFollow(t *testing.T, b *Backend) {
	for name, spec := range shapes(t) {
		t.Run(name, func(t *testing.T) {
			other := *spec.Network
			other.Blocks = slices.Clone(other.Blocks)
			for k := range other.Blocks {
				w := slices.Clone(other.Blocks[k].W)
				for i := range w {
					w[i] /= 64 // fewer digits
				}
				other.Blocks[k].W = w
			}
			run := func(b backend.Backend) (*spin.Batch, backend.Moments) {
				s, err := b.NewSampler(spec)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				state := spin.NewBatch(spec.Network.Units(), spec.Chains)
				check := func(err error) {
					t.Helper()
					if err != nil {
						t.Fatal(err)
					}
				}
				calls := func() {
					t.Helper()
					for _, n := range []int{2, 2, 3, 3, 7, 1, 7} {
						check(sweep(s, n))
					}
				}
				calls()
				check(s.SetNetwork(&other))
				calls()
				check(s.SetTemperatures([]float64{2}))
				check(s.ResetMoments())
				calls()
				if spec.Base != nil {
					check(s.SetMix(1 << 20))
					calls()
				}
				check(s.State(state))
				check(s.SetState(state))
				calls()
				check(s.State(state))
				var m backend.Moments
				check(s.Moments(&m))
				return state, m
			}
			got, moments := run(b)
			want, wanted := run(ref.New())
			if !slices.Equal(got.Bits, want.Bits) {
				t.Error("spins differ")
			}
			if moments.Samples != wanted.Samples || !slices.Equal(moments.Means, wanted.Means) {
				t.Error("moments differ")
			}
			for k := range wanted.Edges {
				if !slices.Equal(moments.Edges[k], wanted.Edges[k]) {
					t.Errorf("edge sums of block %d differ", k)
				}
			}
		})
	}
}

// So do records of a lattice, however often it is looked at, and with exchange.
func TestLatticeGraphsFollow(t *testing.T) {
	b := open(t)
	for _, exchange := range []int{0, 3} {
		run := func(b backend.Backend) (all []int64) {
			l, err := b.NewLattice(backend.LatticeSpec{
				Width: 12, Height: 10, Replicas: 3, Temperatures: []float64{2, 2.5, 3}, Seed: 4, FirstSweep: 1<<32 - 5, Random: true, Exchange: exchange,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			for _, c := range []struct{ n, every int }{{2, 1}, {2, 1}, {5, 1}, {9, 3}, {9, 3}, {40, 20}, {7, 9}, {6, 2}} {
				e, m := make([]int64, c.n/c.every*3), make([]int64, c.n/c.every*3)
				err := sweep(l, 4)
				inOnePiece(l, c.n)
				for _, err := range []error{err, l.Record(context.Background(), c.n, c.every, e, m)} {
					if err != nil {
						t.Fatal(err)
					}
				}
				all = append(append(all, e...), m...)
			}
			return all
		}
		if got, want := run(b), run(b.Backend); !slices.Equal(got, want) {
			t.Errorf("exchange every %d: %d, want %d", exchange, got, want)
		}
	}
}

// countdown is a context that ends when it has been looked at so many times.
type countdown struct {
	context.Context
	left atomic.Int64
}

func (c *countdown) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

func after(looks int64) context.Context {
	c := &countdown{Context: context.Background()}
	c.left.Store(looks)
	return c
}

// A sweep that takes long is left between two of its launches, and who looks
// next sees it whole.
func TestLongSweepsStop(t *testing.T) {
	counter := simulated(t)
	n := quantized(t, backendtest.RandomRBM(33, 5, 1, 1))
	spec := backend.SamplerSpec{Network: n, Chains: 1100, Moments: backend.MomentSpec{Means: true, Every: 2}}
	const launchesOfSweep = 2 * 5 // of each layer: two on two of the devices, one on the third
	b := threeDevices(t)
	for looks := range int64(30) {
		s, err := b.NewSampler(spec)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range s.(*spread).parts {
			p.size = 256
		}
		launches, at := counter(simLaunches), s.Sweeps()
		if err := s.Sweep(after(looks), 3); !errors.Is(err, context.Canceled) {
			t.Fatalf("after %d looks: %v", looks, err)
		}
		launches, at = counter(simLaunches)-launches, s.Sweeps()-at
		if most := launchesOfSweep*int(at) + 3*2; launches > most || looks < 2 && launches > 0 {
			t.Errorf("%d looks: %d launches for %d sweeps", looks, launches, at)
		}
		again, err := ref.New().NewSampler(spec)
		if err != nil {
			t.Fatal(err)
		}
		state, want := spin.NewBatch(n.Units(), spec.Chains), spin.NewBatch(n.Units(), spec.Chains)
		var m, wanted backend.Moments
		for _, err := range []error{
			again.Sweep(context.Background(), int(at)), again.State(want), again.Moments(&wanted), s.State(state), s.Moments(&m), s.Close(), again.Close(),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(state.Bits, want.Bits) || m.Samples != wanted.Samples || !slices.Equal(m.Means, wanted.Means) {
			t.Errorf("after %d looks and %d sweeps the state is another", looks, at)
		}
	}
}

// A lattice is left inside a sweep likewise, and exchanges what that sweep leads
// to.
func TestLongLatticeStops(t *testing.T) {
	counter := simulated(t)
	b := open(t)
	spec := backend.LatticeSpec{Width: 1024, Height: 1024, Replicas: 8, Temperatures: make([]float64, 8), Seed: 3, Random: true, Exchange: 1}
	for i := range spec.Temperatures {
		spec.Temperatures[i] = 2 + float64(i)/400000
	}
	type end struct {
		spins  []int8
		levels []int
	}
	look := func(l backend.Lattice, sweeps int) (e end) {
		e = end{make([]int8, 1024*1024), make([]int, 8)}
		for _, err := range []error{l.Sweep(context.Background(), sweeps), l.Levels(e.levels), l.State(2, e.spins)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		return e
	}
	var wants []end // of each number of sweeps
	for sweeps := range 4 {
		l, err := b.Backend.NewLattice(spec)
		if err != nil {
			t.Fatal(err)
		}
		wants = append(wants, look(l, sweeps))
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	for looks := int64(0); looks < 21; looks += 1 + looks/9 {
		l, err := b.NewLattice(spec)
		if err != nil {
			t.Fatal(err)
		}
		s := l.(*ising)
		if s.size != 0 {
			t.Fatalf("a launch of a small lattice is cut after %d threads", s.size)
		}
		s.size = 128
		parts := blocks(int64(s.threads()), 128)
		if parts < 2 {
			t.Fatalf("%d threads", s.threads())
		}
		launches := counter(simLaunches)
		if err := l.Sweep(after(looks), 3); looks < int64(2*(2*(parts+1)+2)) && !errors.Is(err, context.Canceled) {
			t.Fatalf("after %d looks: %v", looks, err)
		}
		launches = counter(simLaunches) - launches
		if most := int(l.Sweeps()) * (2*(parts+1) + 2); launches > most || looks < 2 && launches > 0 {
			t.Errorf("%d looks: %d launches for %d sweeps", looks, launches, l.Sweeps())
		}
		got, at := look(l, 0), int(l.Sweeps())
		if want := wants[at]; !slices.Equal(got.spins, want.spins) || !slices.Equal(got.levels, want.levels) {
			t.Errorf("after %d looks and %d sweeps the state is another", looks, at)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Training comes to the same with a launch for many sweeps, with graphs, and with
// sweeps so long that a launch takes a part of the chains; such a step ends soon.
func TestTrainingSweeps(t *testing.T) {
	counter := simulated(t)
	ctx := context.Background()
	for _, algorithm := range []backend.Algorithm{backend.CD, backend.PCD, backend.PT} {
		spec := backend.TrainerSpec{Model: backendtest.RandomRBM(35, 19, 1, 1), Algorithm: algorithm, K: 4, Seed: 5}
		if algorithm != backend.CD {
			spec.Chains = 300
		}
		if algorithm == backend.PT {
			spec.Temperatures = []float64{1, 1.5, 2}
		}
		data := backend.TrainingBatch{Data: spin.NewBatch(35, 290), Samples: 4 * 290}
		for u := range 35 {
			for c := range 290 {
				data.Data.Set(u, c, (u*31+c*17)%7 < 3)
			}
		}
		train := func(b *Backend, size int) (s backend.TrainerState) {
			tr, err := b.NewTrainer(spec)
			if err != nil {
				t.Fatal(err)
			}
			defer tr.Close()
			if size > 0 {
				tr.(*trainer).size = size
			}
			for step := range 4 {
				data.FirstSample = uint32(290 * step)
				for _, err := range []error{tr.Gather(ctx, data), tr.Update(backend.Update{WeightRate: 1e-3, BiasRate: 1e-3})} {
					if err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := tr.Save(&s); err != nil {
				t.Fatal(err)
			}
			if size > 0 {
				if err := tr.Gather(after(3), data); !errors.Is(err, context.Canceled) {
					t.Errorf("a long step that is stopped returns %v", err)
				}
			}
			return s
		}
		layers, graphs := open(t), counter(simGraphs)
		layers.devices[0].units = 0
		want := train(open(t), 0)
		if counter(simGraphs) != graphs {
			t.Error("a small network takes graphs")
		}
		for name, got := range map[string]backend.TrainerState{"graphs": train(layers, 0), "parts": train(layers, kernels.BlockChains)} {
			if !reflect.DeepEqual(got, want) {
				t.Errorf("algorithm %d by %s differs", algorithm, name)
			}
		}
		if algorithm == backend.PCD && counter(simGraphs) == graphs {
			t.Error("no graph")
		}
	}
}
