package backend

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"kadanoff/spin/fmath"
)

// Enumeration is the answer to an EnumerateJob. Energies are integers times the
// job's Step.
type Enumeration struct {
	Spins        int
	States       uint64 // 2^N
	Ground       int64
	GroundStates uint64
	Lowest       []EnumeratedState // by energy, ties by index
	Thermal      []Thermal         // one for each of the job's Betas
	Bins         []Bin             // energies ascending, then magnetisations
}

// Thermal is what an enumeration says about one inverse temperature, of the
// whole system and in the units of the job's energies, with k_B = 1. Energy and
// SpecificHeat are there when Moments or a histogram was asked for,
// Magnetization and Pairs with Moments.
type Thermal struct {
	Beta          float64
	LogZ          float64
	HasEnergy     bool
	Energy        float64   // ⟨E⟩
	SpecificHeat  float64   // β²(⟨E²⟩ − ⟨E⟩²)
	Magnetization []float64 // [N] ⟨s_i⟩
	Pairs         []float64 // [N][N] ⟨s_i s_j⟩
}

// Enumerate does a whole job on b.
func Enumerate(ctx context.Context, b Backend, job *EnumerateJob) (*Enumeration, error) {
	if job.Shards > 1 {
		return nil, errors.New("a shard alone is not the answer: use the backend's Enumerate and FinishEnumeration")
	}
	part, err := b.Enumerate(ctx, job)
	if err != nil {
		return nil, err
	}
	return FinishEnumeration(job, []*EnumeratePart{part})
}

// FinishEnumeration puts the parts of a job together; between them they must
// have every leaf once. The job's Shard and Shards do not matter.
func FinishEnumeration(job *EnumerateJob, parts []*EnumeratePart) (*Enumeration, error) {
	if err := job.Check(); err != nil {
		return nil, err
	}
	parts = slices.Clone(parts)
	slices.SortStableFunc(parts, func(a, b *EnumeratePart) int { return a.First - b.First })
	passes := len(job.Passes())
	at := 0
	for _, p := range parts {
		switch {
		case p.First < 0 || p.Last < p.First:
			return nil, fmt.Errorf("a part has leaves %d to %d", p.First, p.Last-1)
		case p.First != at && p.First != p.Last:
			return nil, fmt.Errorf("a part begins with leaf %d, want leaf %d: a shard is missing or there twice", p.First, at)
		}
		at = max(at, p.Last)
		if err := p.checkShape(job, passes); err != nil {
			return nil, err
		}
	}
	if n := job.Layout().Leaves(); at != n {
		return nil, fmt.Errorf("the parts end with leaf %d of %d: a shard is missing", at, n)
	}
	e := &Enumeration{Spins: job.Spins(), States: 1 << job.Spins(), Ground: math.MaxInt64}
	for _, p := range parts {
		addGround(&e.Ground, &e.GroundStates, p)
		e.Lowest = append(e.Lowest, p.Lowest...)
		e.Bins = append(e.Bins, p.Bins...)
	}
	e.Lowest = lowest(e.Lowest, job.Lowest)
	e.Bins = addBins(e.Bins)
	for k, beta := range job.Betas {
		t := Thermal{Beta: beta}
		if len(e.Bins) > 0 {
			t.fromBins(job, e.Bins)
		}
		if !job.FromHistogram() {
			var leaves [][]LeafSum
			for pass := range passes {
				var all []LeafSum
				for _, p := range parts {
					all = append(all, p.Sums[k][pass]...)
				}
				leaves = append(leaves, all)
			}
			t.fromLeaves(job, leaves)
		}
		e.Thermal = append(e.Thermal, t)
	}
	if !job.Histogram && !job.Joint {
		e.Bins = nil
	}
	return e, nil
}

// Append adds the leaves of next, which begin where those of p end: together
// they are the part that a backend would have made of all of them. A part of no
// leaves may be the zero value.
func (p *EnumeratePart) Append(job *EnumerateJob, next *EnumeratePart) error {
	if next.Last < next.First || next.First != p.Last && p.First != p.Last {
		return fmt.Errorf("leaves %d to %d after leaf %d", next.First, next.Last-1, p.Last-1)
	}
	if err := next.checkShape(job, len(job.Passes())); err != nil {
		return err
	}
	if p.First == p.Last {
		*p = EnumeratePart{First: next.First, Last: next.First, Ground: math.MaxInt64, Sums: make([][][]LeafSum, len(next.Sums))}
		for k := range p.Sums {
			p.Sums[k] = make([][]LeafSum, len(next.Sums[k]))
		}
		if len(next.Sums) == 0 {
			p.Sums = nil
		}
	}
	p.Last = next.Last
	addGround(&p.Ground, &p.GroundStates, next)
	p.Lowest = lowest(append(p.Lowest, next.Lowest...), job.Lowest)
	p.Bins = addBins(append(p.Bins, next.Bins...))
	for k, passes := range next.Sums {
		for pass, leaves := range passes {
			p.Sums[k][pass] = append(p.Sums[k][pass], leaves...)
		}
	}
	return nil
}

// addGround counts the ground states of a part.
func addGround(ground *int64, states *uint64, p *EnumeratePart) {
	if p.Ground < *ground {
		*ground, *states = p.Ground, 0
	}
	if p.Ground == *ground {
		*states += p.GroundStates
	}
}

// lowest sorts states and keeps the first k.
func lowest(states []EnumeratedState, k int) []EnumeratedState {
	slices.SortFunc(states, func(a, b EnumeratedState) int {
		if a.Less(b) {
			return -1
		}
		return 1
	})
	return states[:min(len(states), k)]
}

func (p *EnumeratePart) checkShape(job *EnumerateJob, passes int) error {
	want := len(job.Betas)
	if job.FromHistogram() {
		want = 0
	}
	if len(p.Sums) != want {
		return fmt.Errorf("a part has sums for %d betas, want %d", len(p.Sums), want)
	}
	for _, s := range p.Sums {
		if len(s) != passes {
			return fmt.Errorf("a part has %d passes, want %d", len(s), passes)
		}
		for pass, leaves := range s {
			if len(leaves) != p.Last-p.First {
				return fmt.Errorf("a part has sums of %d leaves, want %d", len(leaves), p.Last-p.First)
			}
			for _, l := range leaves {
				n := 0
				if job.Moments {
					n = job.Layout().MomentCount(pass)
				}
				if len(l.Sums) != n || !(l.Sum > 0) || math.IsInf(l.Sum, 1) {
					return fmt.Errorf("a leaf has sum %v and %d moments, want a positive number and %d", l.Sum, len(l.Sums), n)
				}
			}
		}
	}
	return nil
}

// addBins sorts bins and adds those of the same energy and magnetisation.
func addBins(bins []Bin) []Bin {
	slices.SortFunc(bins, func(a, b Bin) int {
		return cmp.Or(cmp.Compare(a.Energy, b.Energy), cmp.Compare(a.Magnetization, b.Magnetization))
	})
	out := bins[:0]
	for _, b := range bins {
		if n := len(out); n > 0 && out[n-1].Energy == b.Energy && out[n-1].Magnetization == b.Magnetization {
			out[n-1].Count += b.Count
			continue
		}
		out = append(out, b)
	}
	return out
}

// fromBins sums over the exact histogram of energies.
func (t *Thermal) fromBins(job *EnumerateJob, bins []Bin) {
	ground := bins[0].Energy
	scale := -float64(t.Beta * job.Step())
	var z, e1, e2 float64
	for _, b := range bins {
		d := float64(b.Energy - ground)
		w := float64(float64(b.Count) * fmath.Exp(d*scale))
		z += w
		e1 = math.FMA(w, d, e1)
		e2 = math.FMA(float64(w*d), d, e2)
	}
	t.set(job, ground, z, e1, e2)
}

// set fills in log Z, ⟨E⟩ and the specific heat from sums relative to a shift.
func (t *Thermal) set(job *EnumerateJob, shift int64, z, e1, e2 float64) {
	step := job.Step()
	scale := -float64(t.Beta * step)
	t.LogZ = math.FMA(scale, float64(shift), fmath.Log(z))
	mean := e1 / z
	t.HasEnergy = true
	t.Energy = float64((float64(shift) + mean) * step)
	t.SpecificHeat = float64(float64(scale*scale) * max(0, math.FMA(-mean, mean, e2/z)))
}

// fromLeaves walks the tree of leaves of each pass.
func (t *Thermal) fromLeaves(job *EnumerateJob, leaves [][]LeafSum) {
	scale := -float64(t.Beta * job.Step())
	l := job.Layout()
	total := make([]LeafSum, len(leaves))
	for pass := range leaves {
		total[pass] = addLeaves(leaves[pass], scale, pass == 0 && job.Moments)
	}
	first := total[0]
	t.LogZ = math.FMA(scale, float64(first.Shift), fmath.Log(first.Sum))
	if !job.Moments {
		return
	}
	n := len(first.Sums)
	t.set(job, first.Shift, first.Sum, first.Sums[n-2], first.Sums[n-1])
	spins := job.Spins()
	t.Magnetization = make([]float64, spins)
	t.Pairs = make([]float64, spins*spins)
	seen := make([]bool, spins*spins)
	for pass, order := range job.Passes() {
		members := slices.Concat(order[:l.A], order[l.A+l.B:])
		m := len(members)
		at := m
		for i, u := range members {
			if !seen[u*spins+u] {
				seen[u*spins+u] = true
				t.Magnetization[u] = total[pass].Sums[i] / total[pass].Sum
				t.Pairs[u*spins+u] = 1
			}
			for _, v := range members[i+1:] {
				if !seen[u*spins+v] {
					seen[u*spins+v], seen[v*spins+u] = true, true
					x := total[pass].Sums[at] / total[pass].Sum
					t.Pairs[u*spins+v], t.Pairs[v*spins+u] = x, x
				}
				at++
			}
		}
	}
}

// addLeaves adds leaves as a balanced tree, each pair relative to the smaller
// shift.
func addLeaves(leaves []LeafSum, scale float64, energy bool) LeafSum {
	if len(leaves) == 1 {
		return leaves[0]
	}
	h := len(leaves) / 2
	x, y := addLeaves(leaves[:h], scale, energy), addLeaves(leaves[h:], scale, energy)
	if y.Shift < x.Shift {
		x, y = y, x
	}
	d := float64(y.Shift - x.Shift)
	f := fmath.Exp(d * scale)
	out := LeafSum{Shift: x.Shift, Sum: math.FMA(f, y.Sum, x.Sum), Sums: make([]float64, len(x.Sums))}
	for i, v := range y.Sums {
		if n := len(y.Sums); energy && i >= n-2 { // relative to the new shift
			if i == n-1 {
				v = math.FMA(d, math.FMA(d, y.Sum, float64(2*y.Sums[n-2])), v)
			} else {
				v = math.FMA(d, y.Sum, v)
			}
		}
		out.Sums[i] = math.FMA(f, v, x.Sums[i])
	}
	return out
}
