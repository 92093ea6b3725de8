package ising

import (
	"context"
	"errors"
	"math"
	"reflect"
	"testing"

	"kadanoff/model/stats"
)

func TestClustersAgainstExactValues(t *testing.T) {
	for _, x := range exact {
		r, err := RunClusters(context.Background(), ClusterJob{
			Width: x.l, Height: x.l, Temperature: x.t, Chains: 16, BurnIn: 50, Sweeps: 3000, Seed: 3, Threads: 2,
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		n := float64(x.l * x.l)
		for name, c := range map[string]struct {
			got  stats.Estimate
			want float64
		}{
			"energy":            {r.Energy, x.energy},
			"specific heat":     {r.SpecificHeat, x.heat},
			"|m|":               {r.AbsMagnetization, x.absolute},
			"m²":                {r.SquaredMagnetization, x.square},
			"susceptibility":    {r.Susceptibility, n * (x.square - x.absolute*x.absolute) / x.t},
			"Binder's cumulant": {r.Binder, x.ratio},
		} {
			if d := math.Abs(c.got.Mean - c.want); d > 5*c.got.Error || c.got.Error > 0.08*math.Abs(c.want) {
				t.Errorf("L=%d T=%g: %s is %g ± %g, want %g", x.l, x.t, name, c.got.Mean, c.got.Error, c.want)
			}
		}
	}
}

// The correlation function at both distances, on a lattice with sides odd and
// even, against a sum over all states.
func TestClusterCorrelation(t *testing.T) {
	const width, height, temperature = 5, 3, 2.3
	const sites = width * height
	var want [width/2 + 1]float64
	z := 0.
	spins := make([]int8, sites)
	for s := range 1 << sites {
		for i := range spins {
			spins[i] = int8(s>>i&1)*2 - 1
		}
		var sums [width/2 + 1]float64
		var bonds float64
		for y := range height {
			for x := range width {
				here := float64(spins[y*width+x])
				for r := range sums {
					right := here * float64(spins[y*width+(x+r)%width])
					below := here * float64(spins[(y+r)%height*width+x])
					if r <= height/2 {
						sums[r] += (right + below) / (2 * sites)
					} else {
						sums[r] += right / sites
					}
					if r == 1 {
						bonds += right + below
					}
				}
			}
		}
		p := math.Exp(bonds / temperature)
		z += p
		for r := range sums {
			want[r] += p * sums[r]
		}
	}
	c, err := NewCorrelations(width, height, 4)
	if err != nil {
		t.Fatal(err)
	}
	job := ClusterJob{Width: width, Height: height, Temperature: temperature, Chains: 4, BurnIn: 20, Sweeps: 20000, Seed: 1, Threads: 2, Random: true}
	if _, err := RunClusters(context.Background(), job, func(chain, _ int, spins []int8) error { return c.Add(chain, spins) }); err != nil {
		t.Fatal(err)
	}
	list, err := c.Estimates()
	if err != nil || len(list) != len(want) {
		t.Fatalf("%d distances, %v", len(list), err)
	}
	for r, got := range list {
		if w := want[r] / z; math.Abs(got.Mean-w) > 5*got.Error+1e-12 || got.Error > 0.01 {
			t.Errorf("distance %d: %v ± %v, want %v", r, got.Mean, got.Error, w)
		}
	}
}

// At the critical temperature clusters forget sooner than single spins.
func TestClustersAreFast(t *testing.T) {
	critical := 2 / math.Log(1+math.Sqrt2)
	r, err := RunClusters(context.Background(), ClusterJob{
		Width: 32, Height: 32, Temperature: critical, Chains: 4, BurnIn: 100, Sweeps: 1000, Seed: 2, Threads: 2,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	// A single-spin update has τ of hundreds of sweeps here.
	if tau := r.AbsMagnetization.Tau; tau > 12 || tau < 1 {
		t.Errorf("τ of |m| is %v sweeps", tau)
	}
}

func TestClusterJobs(t *testing.T) {
	job := ClusterJob{Width: 4, Height: 6, Temperature: 2, Chains: 5, BurnIn: 3, Sweeps: 10, Seed: 7, Threads: 1}
	one, err := RunClusters(context.Background(), job, nil)
	if err != nil {
		t.Fatal(err)
	}
	job.Threads = 4
	four, err := RunClusters(context.Background(), job, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(one, four) {
		t.Error("the result depends on the threads")
	}
	stop := errors.New("stop")
	if _, err := RunClusters(context.Background(), job, func(c, s int, _ []int8) error {
		if c == 2 && s == 4 {
			return stop
		}
		return nil
	}); !errors.Is(err, stop) {
		t.Errorf("%v, want the error of draw", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := RunClusters(ctx, job, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's error", err)
	}
	for _, change := range []func(*ClusterJob){
		func(j *ClusterJob) { j.Width = 0 }, func(j *ClusterJob) { j.Height = math.MaxInt },
		func(j *ClusterJob) { j.Temperature = 0 }, func(j *ClusterJob) { j.Temperature = math.NaN() },
		func(j *ClusterJob) { j.Chains = 0 }, func(j *ClusterJob) { j.Threads = 0 },
		func(j *ClusterJob) { j.BurnIn = -1 }, func(j *ClusterJob) { j.Sweeps = MinSweeps - 1 },
	} {
		bad := job
		change(&bad)
		if _, err := RunClusters(context.Background(), bad, nil); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
	if _, err := NewCorrelations(0, 1, 1); err == nil {
		t.Error("correlations on no lattice")
	}
	if c, _ := NewCorrelations(4, 4, 1); c.Add(0, make([]int8, 15)) == nil {
		t.Error("15 spins on a lattice of 16")
	}
}
