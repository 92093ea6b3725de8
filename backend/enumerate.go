package backend

import (
	"errors"
	"fmt"
	"math"
)

// Limits of enumeration.
const (
	// MaxEnumerateSpins is the largest number of spins of an EnumerateJob.
	MaxEnumerateSpins = 48
	// MaxEnumerateSum bounds Σ|J| + Σ|h| of a job, below 2³⁰, so that no
	// partial energy leaves 32 bits.
	MaxEnumerateSum = 1<<30 - 1
	// MaxLowest is the largest number of lowest states kept.
	MaxLowest = 1_000_000
	// MaxHistogramBins bounds the histogram's energies, times the
	// magnetisations of a joint one.
	MaxHistogramBins = 1 << 21
)

// EnumerateJob asks for exact answers about all 2^N states of an Ising model
//
//	E(s) = −Σ_{i<j} J_ij s_i s_j − Σ_i h_i s_i
//
// in fixed point: J and h are integers, and an energy is an integer times Unit.
//
// A state's index has bit i set where s_i = +1: spin 0 is the lowest bit. The
// minimum and its degeneracy are always found; the rest is as asked.
//
// The work is cut into Layout().Leaves() leaves, those states whose highest
// spins agree. Shard i of n does the leaves from leaves·i/n to leaves·(i+1)/n;
// FinishEnumeration puts the parts together in an order that does not depend
// on n.
type EnumerateJob struct {
	Coupling []int32 // [N][N], symmetric, zero on the diagonal
	Field    []int32 // [N]
	Unit     float64 // energy of 1; 0 means 1

	// Lowest is the number k of lowest states wanted, ties by state index.
	Lowest int
	// Betas are the inverse temperatures at which log Z is wanted, 0 or more.
	Betas []float64
	// Moments asks for mean energy, specific heat, magnetisation and pair
	// correlations at each of Betas: about eight times the work of log Z.
	Moments bool
	// Histogram asks for the number of states at each energy, and Joint at each
	// pair of energy and magnetisation.
	Histogram, Joint bool
	// SumsOnly leaves out the minimum and the lowest states, a pass of their own:
	// log Z, moments and histograms do without it. The ground state is then
	// MaxInt64, found zero times.
	SumsOnly bool
	// BranchAndBound finds the minimum, its degeneracy and the lowest states by
	// an exact search that skips what cannot be among them, instead of visiting
	// every state. It cannot be sharded or combined with sums over all states.
	BranchAndBound bool

	Shard, Shards int // part i of n; 0 of 0 is everything
	// From and To, if To is not 0, narrow the shard to its leaves From to To−1.
	From, To int
	// Progress, if not nil, is called now and then with the fraction done; calls
	// do not overlap.
	Progress func(fraction float64)
}

// Spins returns N.
func (j *EnumerateJob) Spins() int { return len(j.Field) }

// J returns the coupling of spins i and k.
func (j *EnumerateJob) J(i, k int) int32 { return j.Coupling[i*len(j.Field)+k] }

// Step returns the energy of 1.
func (j *EnumerateJob) Step() float64 {
	if j.Unit == 0 {
		return 1
	}
	return j.Unit
}

// Sum returns Σ_{i<j} |J_ij| + Σ |h_i|, which no energy exceeds.
func (j *EnumerateJob) Sum() int64 {
	s := int64(0)
	for _, w := range j.Coupling {
		s += abs(w)
	}
	s /= 2
	for _, h := range j.Field {
		s += abs(h)
	}
	return s
}

func abs(x int32) int64 { return max(int64(x), -int64(x)) }

// Grain returns the greatest common divisor of all couplings and fields:
// energies differ by multiples of twice that. It is 1 when there are none.
func (j *EnumerateJob) Grain() int64 {
	g := int64(0)
	for _, list := range [][]int32{j.Coupling, j.Field} {
		for _, w := range list {
			for a := abs(w); a != 0; {
				g, a = a, g%a
			}
		}
	}
	return max(g, 1)
}

// HistogramBins returns how many bins the job's histogram can have.
func (j *EnumerateJob) HistogramBins() int64 {
	bins := j.Sum()/j.Grain() + 1
	if j.Joint {
		bins *= int64(j.Spins() + 1)
	}
	return bins
}

// Check reports what is wrong with the job.
func (j *EnumerateJob) Check() error {
	n := j.Spins()
	if n < 1 || n > MaxEnumerateSpins {
		return fmt.Errorf("%d spins, want 1 to %d", n, MaxEnumerateSpins)
	}
	if len(j.Coupling) != n*n {
		return fmt.Errorf("%d couplings for %d spins, want %d×%d", len(j.Coupling), n, n, n)
	}
	for i := range n {
		if j.J(i, i) != 0 {
			return fmt.Errorf("spin %d is coupled to itself", i)
		}
		for k := range i {
			if j.J(i, k) != j.J(k, i) {
				return fmt.Errorf("coupling of spins %d and %d is %d one way and %d the other", k, i, j.J(k, i), j.J(i, k))
			}
		}
	}
	if s := j.Sum(); s > MaxEnumerateSum {
		return fmt.Errorf("Σ|J| + Σ|h| is %d, want below 2³⁰: scale by 2^-%d", s, bitsOver(s))
	}
	if !(j.Unit >= 0) || math.IsInf(j.Unit, 1) {
		return fmt.Errorf("unit of energy %v, want a positive number", j.Unit)
	}
	if j.Lowest < 0 || j.Lowest > MaxLowest {
		return fmt.Errorf("%d lowest states, want at most %d", j.Lowest, MaxLowest)
	}
	for _, b := range j.Betas {
		if !(b >= 0) {
			return fmt.Errorf("beta %v, want a number of 0 or more", b)
		}
		if !(b*j.Step()*MaxEnumerateSum < 1e300) {
			return fmt.Errorf("beta %v for energies in steps of %.3g: beta times an energy may exceed 1e300, want a smaller beta or couplings", b, j.Step())
		}
	}
	if j.Moments && len(j.Betas) == 0 {
		return errors.New("moments without a beta")
	}
	if (j.Histogram || j.Joint) && j.HistogramBins() > MaxHistogramBins {
		return fmt.Errorf("a histogram of up to %d bins, want at most %d: couplings of fewer digits", j.HistogramBins(), MaxHistogramBins)
	}
	if j.SumsOnly && (j.Lowest > 0 || j.BranchAndBound) {
		return errors.New("lowest states without a pass for the minimum")
	}
	if j.BranchAndBound && (len(j.Betas) > 0 || j.Histogram || j.Joint || j.Shards > 1) {
		return errors.New("branch and bound finds the lowest states only: no log Z, no histogram, no shards")
	}
	if j.Shards < 0 || j.Shard < 0 || j.Shard >= max(j.Shards, 1) {
		return fmt.Errorf("shard %d of %d, want 0 to %d", j.Shard, j.Shards, max(j.Shards, 1)-1)
	}
	if j.Shards > MaxLeaves {
		return fmt.Errorf("%d shards, want at most %d", j.Shards, MaxLeaves)
	}
	if leaves := j.Layout().Leaves(); j.From < 0 || j.To < j.From || j.To > leaves || j.To > 0 && j.BranchAndBound {
		return fmt.Errorf("leaves %d to %d of %d", j.From, j.To-1, leaves)
	}
	return nil
}

func bitsOver(s int64) int {
	b := 0
	for ; s > MaxEnumerateSum; s /= 2 {
		b++
	}
	return b
}

// FromHistogram reports whether log Z comes from the histogram of energies:
// one pass then serves every β, where sums of Boltzmann factors take one each.
func (j *EnumerateJob) FromHistogram() bool {
	energies := j.Sum()/j.Grain() + 1
	return !j.Moments && len(j.Betas) > 2 && energies <= 1<<14
}

// MaxLeaves is the largest number of leaves of a job.
const MaxLeaves = 4096

// Layout says how an enumeration groups the spins: group A is the lowest
// spins, B the next, C the highest. Energies split into
//
//	P[a,b] = E_a + E_ab,  Q[b,c] = E_b + E_bc,  R[a,c] = E_c + E_ac
//
// and log Z is the logarithm of Σ_ac R[a,c] Σ_b P[a,b]·Q[b,c] of Boltzmann
// factors; that sum has one order, given at LeafSum. The highest Leaf spins of
// C name the leaf.
type Layout struct{ A, B, C, Leaf int }

// Layout returns the job's grouping, which depends on N only, and with Moments
// on that.
func (j *EnumerateJob) Layout() Layout {
	n := j.Spins()
	c := n - 19
	if n < 28 {
		c = min(n, max(5, min(9, n/2-1)))
	}
	l := Layout{A: (n - c + 1) / 2, B: (n - c) / 2, C: c, Leaf: max(0, min(12, c-5))}
	if j.Moments {
		l.Leaf = min(l.Leaf, 6)
	}
	return l
}

// Leaves returns the number of leaves.
func (l Layout) Leaves() int { return 1 << l.Leaf }

// Range returns the leaves of the job's shard: first ≤ leaf < last.
func (j *EnumerateJob) Range() (first, last int) {
	n, shards := j.Layout().Leaves(), max(j.Shards, 1)
	first, last = n*j.Shard/shards, n*(j.Shard+1)/shards
	if j.To > 0 {
		first, last = max(first, j.From), min(last, j.To)
	}
	return first, max(first, last)
}

// Passes returns the orders of the spins in which moments are summed: in pass
// p, position i of the layout holds spin Passes()[p][i]. Correlations come from
// the groups A and C only, so the spins of B take turns; with moments not asked
// for there is one pass in the natural order.
func (j *EnumerateJob) Passes() [][]int {
	n, l := j.Spins(), j.Layout()
	order := func(from int) []int {
		p := make([]int, n)
		for i := range p {
			p[i] = i
		}
		for i := range l.B { // exchange B with the spins from from on
			p[l.A+i], p[from+i] = from+i, l.A+i
		}
		return p
	}
	if !j.Moments || l.B == 0 {
		return [][]int{order(l.A)}
	}
	return [][]int{order(l.A), order(l.A + l.B), order(0)}
}

// EnumeratedState is a state with its energy.
type EnumeratedState struct {
	Energy int64  `json:"energy"`
	State  uint64 `json:"state"`
}

// Less orders states by energy, ties by index.
func (s EnumeratedState) Less(t EnumeratedState) bool {
	return s.Energy < t.Energy || s.Energy == t.Energy && s.State < t.State
}

// LeafSum is Σ e^(−β(E−Shift)) over the states of a leaf, in units of the job's
// Step for E and Shift.
//
// With scale = −(β·Step), Exp = fmath.Exp and the three parts of the energy
// each relative to a lower bound of it within the leaf (P to its minimum over
// all a, b; Q to its minimum over b and the leaf's c; R to the sum of the minima
// of E_c and of E_ac; Shift is their sum), the order is
//
//	for each panel of 16 consecutive c (or all, when C < 4), ascending:
//		for each a, for each c of the panel (number y within it), ascending:
//			t = Σ_b Exp(P·scale)·Exp(Q·scale)   one chain of fused multiply-adds from 0
//			lane[y%8] = fma(t, Exp(R·scale), lane[y%8])
//		Sum += the lanes, ((0+4)+(2+6)) + ((1+5)+(3+7))
//
// When Sum stays below 2⁻⁸⁶⁰, the states of the leaf are far above its bound:
// then Shift is the leaf's minimum and Sum the plain sum of Exp((E−Shift)·scale)
// over its states with E − Shift ≤ ⌊80/(β·Step)⌋, c outermost, then a, then b.
// The states left out weigh less than 2⁴⁸·e⁻⁸⁰ of the result.
//
// With Moments, t·Exp(R·scale) is rounded to w before it is added, and Sums
// holds Σ w x for the observables x that MomentCount lists; Sum is Σ w.
type LeafSum struct {
	Shift int64     `json:"shift"`
	Sum   float64   `json:"sum"`
	Sums  []float64 `json:"sums,omitempty"`
}

// Tiny is the Sum below which a leaf is summed state by state.
const Tiny = 0x1p-860

// Window returns the largest E − Shift that a leaf summed state by state
// includes.
func (j *EnumerateJob) Window(beta float64) int64 {
	w := 80 / float64(beta*j.Step())
	if !(w < 1<<40) {
		return 1 << 40
	}
	return int64(w)
}

// Bin is one bin of a histogram: the number of states with an energy and, in a
// joint one, a magnetisation Σ s_i.
type Bin struct {
	Energy        int64  `json:"energy"`
	Magnetization int    `json:"magnetization"`
	Count         uint64 `json:"count"`
}

// EnumeratePart is what a backend finds out about the leaves of one shard.
// Ground is MaxInt64 when the shard has no leaves.
type EnumeratePart struct {
	First        int               `json:"first"` // leaves
	Last         int               `json:"last"`
	Ground       int64             `json:"ground"`
	GroundStates uint64            `json:"ground_states"`
	Lowest       []EnumeratedState `json:"lowest,omitempty"`
	Sums         [][][]LeafSum     `json:"sums,omitempty"` // [beta][pass][leaf − First]
	Bins         []Bin             `json:"bins,omitempty"` // energies ascending, then magnetisations; empty bins left out
}
