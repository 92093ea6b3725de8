package backendtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"

	"kadanoff/backend"
)

// EnumerateCase is an enumeration whose result is known.
type EnumerateCase struct {
	Name   string
	Golden string // digest of the result
	Job    func() *backend.EnumerateJob
}

// RandomIsing returns an enumeration of n spins with couplings and fields drawn
// uniformly from the integers up to the given sizes, or from ±1 where the size
// is 1, the same on every machine.
func RandomIsing(n int, coupling, field int32, seed uint64) *backend.EnumerateJob {
	r := &numbers{}
	r.key[0], r.key[1] = uint32(seed), uint32(n)
	draw := func(size int32) int32 {
		switch size {
		case 0:
			return 0
		case 1:
			return int32(r.next()>>31)*2 - 1
		}
		return int32(uint64(r.next())*uint64(2*size+1)>>32) - size
	}
	job := &backend.EnumerateJob{Coupling: make([]int32, n*n), Field: make([]int32, n)}
	for i := range n {
		job.Field[i] = draw(field)
		for k := range i {
			j := draw(coupling)
			job.Coupling[i*n+k], job.Coupling[k*n+i] = j, j
		}
	}
	return job
}

// TorusIsing returns an enumeration of the L×L square lattice with periodic
// boundaries, J = 1 for each of its 2L² bonds. For L = 2 each pair of
// neighbours has two.
func TorusIsing(l int) *backend.EnumerateJob {
	n := l * l
	job := &backend.EnumerateJob{Coupling: make([]int32, n*n), Field: make([]int32, n)}
	for i := range n {
		x, y := i%l, i/l
		for _, k := range []int{y*l + (x+1)%l, (y+1)%l*l + x} {
			job.Coupling[i*n+k]++
			job.Coupling[k*n+i]++
		}
	}
	return job
}

// RingIsing returns an enumeration of a ring of n ≥ 3 spins with J = 1.
func RingIsing(n int) *backend.EnumerateJob {
	job := &backend.EnumerateJob{Coupling: make([]int32, n*n), Field: make([]int32, n)}
	for i := range n {
		k := (i + 1) % n
		job.Coupling[i*n+k], job.Coupling[k*n+i] = 1, 1
	}
	return job
}

// EnumerateCases returns the enumerations of the suite.
func EnumerateCases() []EnumerateCase {
	var cases []EnumerateCase
	add := func(name, golden string, job *backend.EnumerateJob) {
		cases = append(cases, EnumerateCase{name, golden, func() *backend.EnumerateJob { c := *job; return &c }})
	}
	for n := 1; n <= 13; n++ {
		job := RandomIsing(n, 9, 5, 1)
		job.Lowest, job.Betas, job.Histogram = 7, []float64{0, 0.3}, true
		add(fmt.Sprintf("spins-%d", n), goldenSpins[n-1], job)
		job = RandomIsing(n, 700, 300, 2)
		job.Unit, job.Betas, job.Moments, job.Lowest = 0.01, []float64{0.7}, true, 1000
		add(fmt.Sprintf("moments-%d", n), goldenMoments[n-1], job)
	}
	job := RandomIsing(17, 1, 1, 3)
	job.Joint, job.Betas, job.Lowest = true, []float64{0.2, 1, 5}, 1000
	add("signs-17", "024bdbd6e33a04508a2d85107a8bec05551d1429c80fc8ab7d060f1e52664371", job)
	job = RandomIsing(16, 1000, 0, 4)
	job.Betas, job.Unit = []float64{3, 40}, 0.25 // cold enough to be summed state by state
	add("cold-16", "c848c83b35e6184a97fe320628403c4f4d56d90b4821caa5f14ba575105fed6c", job)
	job = RandomIsing(16, 1, 0, 8) // states come in pairs
	job.Joint, job.Lowest, job.Betas = true, 321, []float64{0.25}
	add("no-fields-16", "0c04e9a480c43bd673535bcf591c71434173734f170454e496c9035de5842c8c", job)
	job = RandomIsing(12, 1000, 100, 5)
	job.Betas, job.Moments = []float64{1, 20}, true
	add("cold-moments-12", "be65b393a582ee0d12b243e354ae27ba183a5516187e2f4724c1e1e3321f1bf2", job)
	job = RandomIsing(13, 0, 0, 6)
	job.Betas, job.Lowest, job.Histogram = []float64{1}, 3, true
	add("flat-13", "6c642317b732d2b5c311c36fcc3414ff7eddc277b94d120d53c5df173bb4e4c7", job)
	job = TorusIsing(4)
	job.Betas, job.Joint, job.Lowest, job.SumsOnly = []float64{0.44}, true, 0, true
	add("torus-4x4", "0623ad1eb3a15f0ecdd1fe9f0ffbca35d1a063b82a511910ce7bcbcd17f79e24", job)
	job = RandomIsing(15, 500, 20, 7)
	job.BranchAndBound, job.Lowest = true, 50
	add("branch-and-bound-15", "beff22d002b17f4b80d3a3f1581c41c243d49fc2a4606debb6280232848bc871", job)
	return cases
}

// Digest does the job in the given number of shards and returns the SHA-256 of
// its whole result, in hex.
func (c *EnumerateCase) Digest(ctx context.Context, b backend.Backend, shards int) (string, error) {
	e, err := Sharded(ctx, b, c.Job(), shards)
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.Name, err)
	}
	text, err := json.Marshal(e) // floats with all their digits
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// Sharded does a job as that many separate ones and puts them together.
func Sharded(ctx context.Context, b backend.Backend, job *backend.EnumerateJob, shards int) (*backend.Enumeration, error) {
	var parts []*backend.EnumeratePart
	for s := range shards {
		one := *job
		one.Shard, one.Shards = s, shards
		p, err := b.Enumerate(ctx, &one)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return backend.FinishEnumeration(job, parts)
}

func enumerates(t *testing.T, b backend.Backend) {
	ctx := context.Background()
	for _, c := range EnumerateCases() {
		for _, shards := range []int{1, 3, 7} {
			if shards > 1 && c.Job().BranchAndBound {
				continue
			}
			got, err := c.Digest(ctx, b, shards)
			if err != nil {
				t.Errorf("in %d shards: %v", shards, err)
			} else if got != c.Golden {
				t.Errorf("%s in %d shards: digest %s, want %s", c.Name, shards, got, c.Golden)
			}
		}
	}
	enumeratesExactly(t, b)
	refusesEnumerations(t, b)
}

// torus4x4 is the exact density of states of the 4×4 torus, from all 2¹⁶ states
// and from a transfer recursion in integers.
var torus4x4 = map[int64]uint64{
	-32: 2, -24: 32, -20: 64, -16: 424, -12: 1728, -8: 6688, -4: 13568, 0: 20524,
	4: 13568, 8: 6688, 12: 1728, 16: 424, 20: 64, 24: 32, 32: 2,
}

// enumeratesExactly holds results against closed forms.
func enumeratesExactly(t *testing.T, b backend.Backend) {
	ctx := context.Background()
	job := TorusIsing(4)
	job.Histogram, job.Lowest = true, 4
	e, err := backend.Enumerate(ctx, b, job)
	check(t, err)
	if e.Ground != -32 || e.GroundStates != 2 || len(e.Bins) != len(torus4x4) {
		t.Errorf("4×4 torus: ground %d (%d), %d energies", e.Ground, e.GroundStates, len(e.Bins))
	}
	for _, bin := range e.Bins {
		if torus4x4[bin.Energy] != bin.Count {
			t.Errorf("4×4 torus: %d states of energy %d, want %d", bin.Count, bin.Energy, torus4x4[bin.Energy])
		}
	}
	want := []backend.EnumeratedState{{Energy: -32, State: 0}, {Energy: -32, State: 1<<16 - 1}, {Energy: -24, State: 1}, {Energy: -24, State: 2}}
	if !reflect.DeepEqual(e.Lowest, want) {
		t.Errorf("4×4 torus: lowest states %v, want %v", e.Lowest, want)
	}
	// ring: Z = (2 cosh β)^n + (2 sinh β)^n, ⟨s_i s_j⟩ = (t^r + t^(n−r))/(1 + t^n)
	const n, beta = 14, 0.7
	job = RingIsing(n)
	job.Betas, job.Moments = []float64{beta}, true
	e, err = backend.Enumerate(ctx, b, job)
	check(t, err)
	th, got := math.Tanh(beta), e.Thermal[0]
	logZ := func(b float64) float64 {
		return n*math.Log(2*math.Cosh(b)) + math.Log1p(math.Pow(math.Tanh(b), n))
	}
	near := func(what string, got, want float64) {
		if math.Abs(got-want) > 1e-13*max(1, math.Abs(want)) {
			t.Errorf("ring of %d: %s = %.17g, want %.17g", n, what, got, want)
		}
	}
	near("log Z", got.LogZ, logZ(beta))
	pair := func(r int) float64 {
		return (math.Pow(th, float64(r)) + math.Pow(th, float64(n-r))) / (1 + math.Pow(th, n))
	}
	near("energy", got.Energy, -n*pair(1))
	for i := range n {
		near("magnetisation", got.Magnetization[i], 0)
		for k := range n {
			near(fmt.Sprintf("correlation of %d and %d", i, k), got.Pairs[i*n+k], pair((k-i+n)%n))
		}
	}
	// d²ln Z/dβ² of the closed form
	sech2 := 1 - th*th
	q, dq := math.Pow(th, n)/(1+math.Pow(th, n)), 0.0
	dq = n * sech2 / th * q * (1 - q)
	second := n*sech2 + n*(dq*sech2/th+q*(-2*sech2-sech2*sech2/(th*th)))
	if c := beta * beta * second; math.Abs(got.SpecificHeat-c) > 1e-11 {
		t.Errorf("ring of %d: specific heat %.17g, want %.17g", n, got.SpecificHeat, c)
	}
	// log Z by leaves, by histogram and with moments agree
	job = RandomIsing(16, 3, 2, 11)
	job.Betas = []float64{0.4}
	one, err := backend.Enumerate(ctx, b, job)
	check(t, err)
	job.Betas = []float64{0.4, 0.5, 0.6}
	three, err := backend.Enumerate(ctx, b, job)
	check(t, err)
	job.Moments = true
	moments, err := backend.Enumerate(ctx, b, job)
	check(t, err)
	near("log Z from the histogram", three.Thermal[0].LogZ, one.Thermal[0].LogZ)
	near("log Z with moments", moments.Thermal[0].LogZ, one.Thermal[0].LogZ)
	near("energy with moments", moments.Thermal[1].Energy, three.Thermal[1].Energy)
	near("specific heat with moments", moments.Thermal[1].SpecificHeat, three.Thermal[1].SpecificHeat)
}

func refusesEnumerations(t *testing.T, b backend.Backend) {
	for name, spoil := range map[string]func(j *backend.EnumerateJob){
		"no spins":           func(j *backend.EnumerateJob) { j.Field, j.Coupling = nil, nil },
		"short couplings":    func(j *backend.EnumerateJob) { j.Coupling = j.Coupling[1:] },
		"self-coupling":      func(j *backend.EnumerateJob) { j.Coupling[0] = 1 },
		"not symmetric":      func(j *backend.EnumerateJob) { j.Coupling[1]++ },
		"too large":          func(j *backend.EnumerateJob) { j.Field[0] = math.MinInt32 },
		"NaN unit":           func(j *backend.EnumerateJob) { j.Unit = math.NaN() },
		"negative beta":      func(j *backend.EnumerateJob) { j.Betas = []float64{-1} },
		"NaN beta":           func(j *backend.EnumerateJob) { j.Betas = []float64{math.NaN()} },
		"infinite beta":      func(j *backend.EnumerateJob) { j.Betas = []float64{math.Inf(1)} },
		"too many lowest":    func(j *backend.EnumerateJob) { j.Lowest = backend.MaxLowest + 1 },
		"moments, no beta":   func(j *backend.EnumerateJob) { j.Moments = true },
		"shard out of range": func(j *backend.EnumerateJob) { j.Shard, j.Shards = 2, 2 },
		"huge histogram":     func(j *backend.EnumerateJob) { j.Histogram, j.Field[0] = true, 99999999 },
		"bounded sums":       func(j *backend.EnumerateJob) { j.BranchAndBound, j.Histogram = true, true },
	} {
		job := RandomIsing(7, 5, 5, 1)
		spoil(job)
		if _, err := b.Enumerate(context.Background(), job); err == nil {
			t.Errorf("enumeration with %s is accepted", name)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	job := RandomIsing(20, 1, 1, 1)
	job.Betas, job.Histogram = []float64{1}, true
	if _, err := b.Enumerate(ctx, job); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled enumeration: %v", err)
	}
	// parts that do not fit together
	job = RandomIsing(17, 1, 1, 1)
	job.Betas = []float64{1}
	job.Shards = 4
	var parts []*backend.EnumeratePart
	for job.Shard = range 4 {
		p, err := b.Enumerate(context.Background(), job)
		check(t, err)
		parts = append(parts, p)
	}
	for name, list := range map[string][]*backend.EnumeratePart{
		"no parts": nil, "a missing part": parts[1:], "a missing last part": parts[:3], "a part twice": {parts[0], parts[1], parts[1], parts[2], parts[3]},
	} {
		if _, err := backend.FinishEnumeration(job, list); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
