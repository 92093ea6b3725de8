package train

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"kadanoff/backend"
	"kadanoff/comm"
	"kadanoff/spin"
)

// ranks is the part of a run that speaks with the run's other processes. Each
// has the same model and a share of the chains and of every batch.
type ranks struct {
	comm.Group
	code  func(error) int
	stats backend.Statistics
	sums  []int64 // memory of stats, and the requests at its end
	short []int32
	asked requests // by all ranks, before the last step
	bytes int      // that went into the last sum
	took  time.Duration
}

// requests are what a process wants to happen between two steps. Ranks add
// theirs up.
type requests struct {
	stop, limit, save int64 // its context has ended, time is up, a checkpoint
}

func (r *ranks) many() bool { return r.Size() > 1 }
func (r *ranks) root() bool { return r.Rank() == 0 }

// agree returns an error on every rank if one of them has one.
func (r *ranks) agree(err error) error { return comm.Agree(r, err, r.code) }

// share returns the part [from, to) of n chains or configurations that a rank
// works on: whole words of 64 chains if there are enough for all ranks.
func share(n, size, rank int) (from, to int) {
	unit := 64
	if (n+63)/64 < size {
		unit = 1
	}
	units := (n + unit - 1) / unit
	return min(n, units*rank/size*unit), min(n, units*(rank+1)/size*unit)
}

// requests returns what this process wants now.
func (r *run) requests(ctx context.Context, step uint64) requests {
	var q requests
	select {
	case <-ctx.Done():
		q.stop = 1
	case <-r.o.Checkpoint:
		q.save = 1
		r.log("a checkpoint is asked for at step %d", step)
	default:
	}
	if !r.ranks.root() {
		return q
	}
	if r.o.TimeLimit > 0 && time.Since(r.started) > r.o.TimeLimit {
		q.limit = 1
	}
	if r.o.CheckpointTime > 0 && step > r.savedStep && time.Since(r.saved) >= r.o.CheckpointTime {
		q.save = 1
	}
	return q
}

// stopped returns why a run stops that a context has ended on some rank.
func (r *run) stopped(ctx context.Context) error {
	err := ctx.Err()
	if err != nil && (r.ranks.many() || !errors.Is(err, context.Canceled)) {
		err = ended{err, context.Cause(ctx)}
	}
	return r.ranks.agree(err)
}

// ended is the error of a context in the words of its cause, which the other
// ranks see.
type ended struct{ error, cause error }

func (e ended) Error() string   { return e.cause.Error() }
func (e ended) Unwrap() []error { return []error{e.error, e.cause} }

// vectors are the sums of stats, in the order in which they lie in r.sums.
func (r *ranks) vectors() [5]*[]int64 {
	s := &r.stats
	return [5]*[]int64{&s.Pairs, &s.VisibleData, &s.VisibleModel, &s.HiddenData, &s.HiddenModel}
}

// place makes the sums of stats parts of one piece of memory, which has three
// more numbers at its end.
func (r *ranks) place(visible, hidden int) {
	if r.sums == nil {
		r.sums = make([]int64, (visible+2)*hidden+2*visible+3)
	}
	at := 0
	for i, n := range [5]int{visible * hidden, visible, visible, hidden, hidden} {
		*r.vectors()[i] = r.sums[at : at+n : at+n]
		at += n
	}
}

// reduce adds up the statistics and the requests of all ranks. Samples and
// chains are those of the whole step; a rank without a share of either has
// gathered nothing.
func (r *run) reduce(gathered bool, samples, chains int, own requests) error {
	visible, hidden := r.data.Width(), r.Hidden
	g, began := &r.ranks, time.Now()
	g.place(visible, hidden)
	if !gathered {
		g.stats.Reset(visible, hidden, samples, chains)
	} else if err := r.rbm.Statistics(&g.stats); err != nil {
		return err
	}
	at := 0
	for _, x := range g.vectors() { // where the trainer has made slices of its own
		at += copy(g.sums[at:], *x)
	}
	g.place(visible, hidden)
	copy(g.sums[at:], []int64{own.stop, own.limit, own.save})
	if err := g.sum(samples, chains); err != nil {
		return err
	}
	r.times.Sum, r.times.Bytes = g.took, g.bytes
	g.asked = requests{g.sums[at], g.sums[at+1], g.sums[at+2]}
	err := r.rbm.SetStatistics(&g.stats)
	r.times.Pack = time.Since(began) - g.took
	return err
}

// sum adds up r.sums, in 32 bits where those are enough: no statistic is above
// M'·D·2²² + D'·M·2²² = 2·lcm(D, M)·2²², with D and M the numbers of samples and
// chains.
func (r *ranks) sum(samples, chains int) error {
	stats := backend.Statistics{Samples: samples, Chains: chains}
	data, _ := stats.Multipliers()
	if int64(samples)*data*2<<spin.MeanBits > math.MaxInt32 {
		r.bytes = 8 * len(r.sums)
		return r.timed(func() error { return r.SumInt64(r.sums) })
	}
	if r.short == nil {
		r.short = make([]int32, len(r.sums))
	}
	for i, x := range r.sums {
		r.short[i] = int32(x)
	}
	r.bytes = 4 * len(r.sums)
	if err := r.timed(func() error { return r.SumInt32(r.short) }); err != nil {
		return err
	}
	for i, x := range r.short {
		r.sums[i] = int64(x)
	}
	return nil
}

func (r *ranks) timed(f func() error) error {
	began := time.Now()
	err := f()
	r.took = time.Since(began)
	return err
}

// sumRequests adds up the requests alone, for steps whose statistics every rank
// has already.
func (r *ranks) sumRequests(own requests) error {
	x := []int64{own.stop, own.limit, own.save}
	err := r.SumInt64(x)
	r.asked = requests{x[0], x[1], x[2]}
	return err
}

// same makes sure that all ranks have the same bits in what they must share:
// what is summed up by its SHA-256, named what.
func (r *ranks) same(sum [sha256.Size]byte, what string) error {
	if !r.many() {
		return nil
	}
	all, err := r.Gather(sum[:])
	if err != nil {
		return err
	}
	if [sha256.Size]byte(all[:sha256.Size]) != sum {
		err = fmt.Errorf("%s other than those of rank 0", what)
	}
	return r.agree(err)
}

// modelDigest is the SHA-256 of what all ranks have in common of a state.
func modelDigest(s *backend.TrainerState) [sha256.Size]byte {
	h := sha256.New()
	h.Write(comm.Bytes(s.Model.Blocks[0].W))
	h.Write(comm.Bytes(s.Model.Bias))
	h.Write(comm.Bytes(s.Velocity))
	h.Write(comm.Bytes(s.VisibleOffset))
	h.Write(comm.Bytes(s.HiddenOffset))
	return [sha256.Size]byte(h.Sum(nil))
}

// sameJob makes sure that all ranks have been given the same settings and data.
func (r *run) sameJob() error {
	text, err := json.Marshal(r.Config)
	if err != nil {
		return err
	}
	return r.ranks.same(sha256.Sum256(append(append(text, r.digest...), r.held...)), "settings or data")
}

// sameModel makes sure that all ranks hold the same model in r.state.
func (r *run) sameModel() error {
	return r.ranks.same(modelDigest(&r.state), fmt.Sprintf("weights after step %d", r.state.Step))
}

// whole puts the chains of all ranks together on rank 0; it returns nil
// elsewhere.
func (r *run) whole(own []spin.Batch) ([]spin.Batch, error) {
	g := &r.ranks
	if !g.many() {
		return own, nil
	}
	words := 0 // of a row, on the rank with most chains
	for rank := range g.Size() {
		from, to := share(r.Chains, g.Size(), rank)
		words = max(words, (to-from+63)/64)
	}
	var all []spin.Batch
	for t := range own {
		units := own[t].Units
		whole := spin.NewBatch(units, r.Chains)
		block := max(1, 1<<17/words) // units whose chains travel together: 1 MiB
		for u0 := 0; u0 < units; u0 += block {
			u1 := min(units, u0+block)
			buf := make([]uint64, (u1-u0)*words)
			for u := u0; u < u1; u++ {
				copy(buf[(u-u0)*words:], own[t].Row(u))
			}
			raw, err := g.Gather(comm.Bytes(buf))
			if err != nil {
				return nil, err
			}
			if !g.root() {
				continue
			}
			for rank := range g.Size() {
				from, to := share(r.Chains, g.Size(), rank)
				for i := range buf {
					buf[i] = binary.NativeEndian.Uint64(raw[8*(rank*len(buf)+i):])
				}
				for u := u0; u < u1; u++ {
					copyBits(whole.Row(u), from, buf[(u-u0)*words:], 0, to-from)
				}
			}
		}
		all = append(all, *whole)
	}
	if !g.root() {
		return nil, nil
	}
	return all, nil
}

// part cuts this rank's chains out of all.
func (r *run) part(all []spin.Batch) []spin.Batch {
	if !r.ranks.many() {
		return all
	}
	from, to := share(r.Chains, r.ranks.Size(), r.ranks.Rank())
	var own []spin.Batch
	for t := range all {
		b := spin.NewBatch(all[t].Units, to-from)
		for u := range b.Units {
			copyBits(b.Row(u), 0, all[t].Row(u), from, to-from)
		}
		own = append(own, *b)
	}
	return own
}

// copyBits copies n bits, from bit from of src to bit to of dst.
func copyBits(dst []uint64, to int, src []uint64, from, n int) {
	for i := 0; i < n; {
		d, s := to+i, from+i
		k := min(64-d&63, 64-s&63, n-i) // as many as both words hold
		m := ^uint64(0) >> (64 - k)
		x := src[s>>6] >> (s & 63) & m
		dst[d>>6] = dst[d>>6]&^(m<<(d&63)) | x<<(d&63)
		i += k
	}
}

// shared is what the other ranks learn of a checkpoint before its tensors.
type shared struct {
	Path     string
	Meta     *meta // nil for no checkpoint
	Velocity bool
}

// spread gives the checkpoint that rank 0 has found to all ranks: nil if there
// is none.
func (r *run) spread(c *checkpoint) (*checkpoint, error) {
	g := &r.ranks
	if !g.many() {
		return c, nil
	}
	var head shared
	var text []byte
	if c != nil {
		head = shared{Path: c.path, Meta: &c.meta, Velocity: c.state.Velocity != nil}
	}
	if g.root() {
		var err error
		if text, err = json.Marshal(head); err != nil {
			return nil, err
		}
	}
	length := []int64{int64(len(text))}
	if err := g.Bcast(comm.Bytes(length), 0); err != nil {
		return nil, err
	}
	if !g.root() {
		text = make([]byte, length[0])
	}
	if err := g.Bcast(text, 0); err != nil {
		return nil, err
	}
	if !g.root() {
		if err := json.Unmarshal(text, &head); err != nil {
			return nil, err
		}
		if head.Meta != nil {
			c = emptyCheckpoint(&head)
		}
	}
	if c == nil {
		return nil, nil
	}
	list := [][]byte{
		comm.Bytes(c.state.Model.Blocks[0].W), comm.Bytes(c.state.Model.Bias), comm.Bytes(c.state.Velocity),
		comm.Bytes(c.state.VisibleOffset), comm.Bytes(c.state.HiddenOffset),
	}
	for t := range c.state.Chains {
		list = append(list, comm.Bytes(c.state.Chains[t].Bits))
	}
	for _, x := range list {
		if err := g.Bcast(x, 0); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// emptyCheckpoint makes a checkpoint of the shape that head tells of. The best
// model stays with rank 0, which alone writes it.
func emptyCheckpoint(head *shared) *checkpoint {
	config := &head.Meta.Config
	v, h := head.Meta.Visible, config.Hidden
	c := &checkpoint{path: head.Path, meta: *head.Meta, best: best{score: head.Meta.BestScore, epoch: head.Meta.Best}}
	c.state = backend.TrainerState{
		Step: head.Meta.Step, Model: spin.RBM(v, h, make([]float32, v*h), make([]float32, v), make([]float32, h)),
		VisibleOffset: make([]float64, v), HiddenOffset: make([]float64, h),
	}
	if head.Velocity {
		c.state.Velocity = make([]float32, v*h+v+h)
	}
	if config.Algorithm != "cd" {
		for range max(1, len(config.ladder())) {
			c.state.Chains = append(c.state.Chains, *spin.NewBatch(v+h, config.Chains))
		}
	}
	return c
}
