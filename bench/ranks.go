package bench

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"os"
	"slices"
	"time"

	"kadanoff/backend"
	"kadanoff/comm"
	"kadanoff/spin/philox"
	"kadanoff/train"
)

// A RankRow is the time of a training step on a number of processes: one that
// was measured, or one of the model on paper. Times are those of rank 0, each the
// time that a tenth of the steps stays below: what a machine that others use too
// can do, without their noise.
type RankRow struct {
	Case    string `json:"case"`   // visible×hidden×chains; a batch has as many rows
	Source  string `json:"source"` // measured or paper
	Ranks   int    `json:"ranks"`
	Threads int    `json:"threads"` // of a rank

	Step   float64 `json:"step_s"`
	Sample float64 `json:"sample_s"` // both phases
	Pack   float64 `json:"pack_s"`
	Sum    float64 `json:"sum_s"` // over the ranks, waiting included
	Update float64 `json:"update_s"`
	Read   float64 `json:"read_s"` // of the batch, as far as it is not hidden by the sum
	Bytes  float64 `json:"bytes"`  // that a rank gives into the sum
	// Gain is how many times faster a step is than on half the ranks.
	Gain float64 `json:"gain,omitempty"`
}

// RankCase is a training job of the measurement on ranks.
type RankCase struct{ Visible, Hidden, Chains int }

// ParseRankCase reads VISIBLExHIDDENxCHAINS.
func ParseRankCase(text string) (RankCase, error) {
	var c RankCase
	if n, err := fmt.Sscanf(text+" ", "%dx%dx%d ", &c.Visible, &c.Hidden, &c.Chains); n != 3 || err != nil ||
		min(c.Visible, c.Hidden, c.Chains) < 1 || max(c.Visible, c.Hidden, c.Chains) > 1<<24 {
		return c, fmt.Errorf("--case %q: want VISIBLExHIDDENxCHAINS, each of 1 to %d", text, 1<<24)
	}
	return c, nil
}

func (c RankCase) String() string { return fmt.Sprintf("%dx%dx%d", c.Visible, c.Hidden, c.Chains) }

// weights returns the number of weights.
func (c RankCase) weights() float64 { return float64(c.Visible) * float64(c.Hidden) }

// mostMeasured is the largest number of weights and of weights times chains for
// which a step is timed and not only put on paper.
const mostMeasured, mostConnections = 1 << 23, 1 << 33

// Measurable reports whether Ranks times the case.
func (c RankCase) Measurable() bool {
	return c.weights() <= mostMeasured && c.weights()*float64(c.Chains) <= mostConnections
}

// noise is a source of fair coins.
type noise struct {
	rows, width int
	key         philox.Key
}

func (s noise) Rows() int   { return s.rows }
func (s noise) Width() int  { return s.width }
func (s noise) Stride() int { return (s.width + 63) / 64 }
func (s noise) Fill(dst []uint64, i int, _ uint64) error {
	for w := range dst {
		b := philox.Block([4]uint32{uint32(i), uint32(w), 3, 1}, s.key)
		dst[w] = uint64(b[0])<<32 | uint64(b[1])
	}
	dst[len(dst)-1] &= ^uint64(0) >> (-s.width & 63)
	return nil
}

// Ranks trains on the processes of a group, all of which call it, and returns
// where the time of a step goes. The first tenth of the steps is not counted.
func Ranks(ctx context.Context, be backend.Backend, g comm.Group, c RankCase, steps int) (RankRow, error) {
	if c.Visible > 1<<20 || !c.Measurable() {
		return RankRow{}, fmt.Errorf("%v is too large to be timed", c)
	}
	dir, err := os.MkdirTemp("", "rbmbench-ranks-")
	if err != nil {
		return RankRow{}, err
	}
	defer os.RemoveAll(dir)
	config := train.Default()
	config.Hidden, config.Chains, config.Batch, config.Epochs, config.Rate = c.Hidden, c.Chains, c.Chains, 1, 1e-6
	warm := steps/10 + 1
	var times []train.StepTimes
	var stamps []time.Time
	_, err = train.Run(ctx, be, config, noise{c.Chains * (steps + warm), c.Visible, philox.NewKey(5)}, train.Options{
		Dir: dir, Group: g, Timed: func(t train.StepTimes) { times, stamps = append(times, t), append(stamps, time.Now()) },
	})
	if err != nil {
		return RankRow{}, err
	}
	tenth := func(f func(int) time.Duration) float64 {
		var list []time.Duration
		for i := warm; i < len(times); i++ {
			list = append(list, f(i))
		}
		slices.Sort(list)
		return list[len(list)/10].Seconds()
	}
	return RankRow{
		Case: c.String(), Source: "measured", Ranks: g.Size(), Threads: be.Info().Threads,
		Step:   tenth(func(i int) time.Duration { return stamps[i].Sub(stamps[i-1]) }),
		Sample: tenth(func(i int) time.Duration { return times[i].Sample }),
		Pack:   tenth(func(i int) time.Duration { return times[i].Pack }),
		Sum:    tenth(func(i int) time.Duration { return times[i].Sum }),
		Update: tenth(func(i int) time.Duration { return times[i].Update }),
		Read:   tenth(func(i int) time.Duration { return times[i].Read }),
		Bytes:  float64(times[len(times)-1].Bytes),
	}, nil
}

// Network is what the model on paper knows of the way between the ranks.
type Network struct {
	Latency   float64 // s
	Bandwidth float64 // bytes/s
}

// Paper extrapolates a measured step to another job and to 1, 2, 4 … 1024 ranks
// of the same speed:
//
//	words = ⌈chains/64⌉, sample = words a rank has at most · 64 · VH / measured rate
//	pack and update = VH · measured time for a weight
//	sum = 2 log₂p · latency + 2 (p−1)/p · bytes / bandwidth  (Thakur et al. 2005)
//
// A sum over p ranks passes every byte twice, less a part, at best; on one rank
// there is nothing to add up and to pack. Numbers are of 32 bits below 256
// chains and of 64 from there on.
func Paper(m *RankRow, c RankCase, n Network) ([]RankRow, error) {
	base, err := ParseRankCase(m.Case)
	if err != nil {
		return nil, err
	}
	words := func(chains, ranks int) float64 { return float64(((chains+63)/64 + ranks - 1) / ranks) }
	perWord := m.Sample / (words(base.Chains, m.Ranks) * base.weights())
	size := 4.0
	if c.Chains >= 256 {
		size = 8
	}
	sums := c.weights() + 2*float64(c.Visible+c.Hidden) + 3
	var rows []RankRow
	for p := 1; p <= 1024 && p <= c.Chains; p *= 2 {
		r := RankRow{
			Case: c.String(), Source: "paper", Ranks: p, Threads: m.Threads,
			Sample: perWord * words(c.Chains, p) * c.weights(),
			Update: m.Update / base.weights() * c.weights(),
			Read:   m.Read / (float64(base.Visible) * words(base.Chains, m.Ranks)) * float64(c.Visible) * words(c.Chains, p),
		}
		if p > 1 {
			r.Bytes = size * sums
			r.Pack = m.Pack / base.weights() * c.weights()
			r.Sum = 2*float64(bits.Len(uint(p-1)))*n.Latency + 2*float64(p-1)/float64(p)*r.Bytes/n.Bandwidth
			r.Read = 0 // hidden by the sum
		}
		r.Step = r.Sample + r.Pack + r.Sum + r.Update + r.Read
		if p > 1 {
			r.Gain = rows[len(rows)-1].Step / r.Step
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// PaysUpTo returns the largest number of ranks up to which every doubling makes
// a step at least so many times faster.
func PaysUpTo(rows []RankRow, gain float64) int {
	most := 1
	for _, r := range rows {
		if r.Source != "paper" || r.Ranks == 1 {
			continue
		}
		if math.IsNaN(r.Gain) || r.Gain < gain {
			break
		}
		most = r.Ranks
	}
	return most
}
