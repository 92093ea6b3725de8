package train_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/backendtest"
	"kadanoff/comm"
	"kadanoff/spin"
	"kadanoff/train"
)

// meeting is a group of goroutines: a collective waits for all and then gives
// each what every one has brought.
type meeting struct {
	sync.Mutex
	all     *sync.Cond
	size    int
	brought []any
	result  []any
	round   int
}

type member struct {
	*meeting
	rank int
}

func group(size int) []comm.Group {
	m := &meeting{size: size}
	m.all = sync.NewCond(m)
	var list []comm.Group
	for rank := range size {
		list = append(list, &member{m, rank})
	}
	return list
}

// exchange returns what all members bring, by rank.
func (m *member) exchange(x any) []any {
	m.Lock()
	defer m.Unlock()
	if m.brought == nil {
		m.brought = make([]any, m.size)
	}
	m.brought[m.rank] = x
	for _, y := range m.brought {
		if y == nil {
			for round := m.round; m.round == round; {
				m.all.Wait()
			}
			return m.result
		}
	}
	m.result, m.brought = m.brought, nil
	m.round++
	m.all.Broadcast()
	return m.result
}

func (m *member) Rank() int       { return m.rank }
func (m *member) Size() int       { return m.size }
func (m *member) Library() string { return "goroutines" }
func (m *member) Barrier() error  { m.exchange(0); return nil }
func (m *member) Abort(int)       { panic("a rank aborts") }
func (m *member) Close() error    { return nil }

func (m *member) Gather(buf []byte) ([]byte, error) {
	return bytes.Join(list[[]byte](m.exchange(bytes.Clone(buf))), nil), nil
}

func (m *member) Bcast(buf []byte, root int) error {
	copy(buf, m.exchange(bytes.Clone(buf))[root].([]byte))
	return nil
}

func list[T any](all []any) []T {
	var out []T
	for _, x := range all {
		out = append(out, x.(T))
	}
	return out
}

func sum[T int32 | int64 | float64](m *member, buf []T) error {
	all := list[[]T](m.exchange(append([]T{}, buf...)))
	clear(buf)
	for _, x := range all {
		for i := range buf {
			buf[i] += x[i]
		}
	}
	return nil
}

func (m *member) SumInt64(buf []int64) error     { return sum(m, buf) }
func (m *member) SumInt32(buf []int32) error     { return sum(m, buf) }
func (m *member) SumFloat64(buf []float64) error { return sum(m, buf) }

// together runs train.Run on every rank; edit changes what a rank is given.
func together(t testing.TB, size int, c train.Config, s train.Source, o train.Options, edit func(rank int, ctx *context.Context, be *backend.Backend, s *train.Source)) ([]*train.Result, []error) {
	results, errs := make([]*train.Result, size), make([]error, size)
	var done sync.WaitGroup
	for rank, g := range group(size) {
		ctx, be, source, mine := context.Background(), open(t), s, o
		mine.Group, mine.Code = g, func(error) int { return 42 }
		if rank > 0 {
			mine.Dir = filepath.Join(o.Dir, "none", "of", "this", "rank's", "business")
		}
		if edit != nil {
			edit(rank, &ctx, &be, &source)
		}
		done.Add(1)
		go func() {
			defer done.Done()
			results[rank], errs[rank] = train.Run(ctx, be, c, source, mine)
			if p := (*comm.PeerError)(nil); errs[rank] != nil && !errors.As(errs[rank], &p) {
				panic(fmt.Sprintf("rank %d leaves the others: %v", rank, errs[rank]))
			}
		}()
	}
	done.Wait()
	return results, errs
}

// One, two, three, four and seven ranks give the same files, and so does a run
// that goes on with another number of ranks each time it is interrupted, by any
// of them.
func TestRanks(t *testing.T) {
	be := open(t)
	s, held := set(t, 103, 11), set(t, 50, 11) // a last batch of 3: less than ranks
	for name, edit := range map[string]func(*train.Config){
		"cd":       func(c *train.Config) { c.Algorithm = "cd" },
		"pcd":      func(c *train.Config) { c.Center, c.Momentum, c.Chains = true, 0.5, 70 },
		"64 bits":  func(c *train.Config) { c.Chains = 331 },
		"pt":       func(c *train.Config) { c.Algorithm, c.Temperatures, c.Hottest, c.Chains = "pt", 3, 10, 9 },
		"patience": func(c *train.Config) { c.Patience, c.Epochs = 2, 30 },
		"exact":    func(c *train.Config) { c.ExactGradient, c.Hidden = true, 3 },
	} {
		c := config()
		edit(&c)
		o := train.Options{Dir: t.TempDir(), Validation: held, CheckpointSteps: 5}
		whole, err := train.Run(context.Background(), be, c, s, o)
		check(t, err)
		for _, size := range []int{2, 3, 4, 7} {
			other := o
			other.Dir = t.TempDir()
			results, errs := together(t, size, c, s, other, nil)
			for rank := range size {
				if errs[rank] != nil || results[rank].Steps != whole.Steps {
					t.Fatalf("%s: rank %d of %d: %+v, %v", name, rank, size, results[rank], errs[rank])
				}
			}
			same(t, fmt.Sprintf("%s on %d ranks", name, size), o.Dir, other.Dir)
		}
		other := o
		other.Dir, other.Resume = t.TempDir(), true
		for cut := 0; ; cut++ {
			size := 2 + cut%3
			results, errs := together(t, size, c, s, other, func(rank int, ctx *context.Context, _ *backend.Backend, _ *train.Source) {
				if rank == cut%size {
					*ctx = &countdown{Context: context.Background(), left: 2 + cut%5}
				}
			})
			if results[0] != nil {
				if !results[0].Finished {
					t.Errorf("%s: %+v", name, results[0])
				}
				break
			}
			for rank, err := range errs {
				if p := (*comm.PeerError)(nil); !errors.As(err, &p) || p.Rank != cut%size || p.Code != 42 || errors.Is(err, context.Canceled) != (rank == p.Rank) {
					t.Fatalf("%s: rank %d of %d ends with %v", name, rank, size, err)
				}
			}
			if cut > 500 {
				t.Fatalf("%s: no end", name)
			}
		}
		same(t, name+" interrupted", o.Dir, other.Dir)
	}
}

// skewed is a backend whose trainers learn a little faster: a broken machine.
type skewed struct{ backend.Backend }

type skewedTrainer struct{ backend.Trainer }

func (b skewed) NewTrainer(s backend.TrainerSpec) (backend.Trainer, error) {
	t, err := b.Backend.NewTrainer(s)
	return skewedTrainer{t}, err
}

func (t skewedTrainer) Update(u backend.Update) error {
	u.WeightRate *= 1.001
	return t.Trainer.Update(u)
}

// What one rank finds wrong ends all of them with the same word, and none
// waits.
func TestRanksRefuse(t *testing.T) {
	s := set(t, 60, 11)
	file := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(file, nil, 0o666))
	for _, c := range []struct {
		name, want string
		at         int // rank that says so
		config     func(*train.Config)
		dir        string
		edit       func(rank int, be *backend.Backend, s *train.Source)
	}{
		{name: "other data", want: "settings or data", at: 2, edit: func(rank int, _ *backend.Backend, s *train.Source) {
			if rank == 2 {
				*s = set(t, 61, 11)
			}
		}},
		{name: "broken machine", want: "weights after step", at: 1, edit: func(rank int, be *backend.Backend, _ *train.Source) {
			if rank == 1 {
				*be = skewed{*be}
			}
		}},
		{name: "no folder", want: "file", dir: file},
		{name: "few chains", want: "at least one for each of 3", config: func(c *train.Config) { c.Chains = 2 }},
		{name: "couplings", want: "want one process, not 3", config: func(c *train.Config) { c.Couplings = "all" }},
		{name: "divergence", want: "diverged in step", config: func(c *train.Config) {
			c.Rate, c.Epochs, c.Momentum, c.WeightDecay = 1000, 400, 0.99, 1000
		}},
	} {
		cfg, o := config(), train.Options{Dir: c.dir}
		if c.config != nil {
			c.config(&cfg)
		}
		if o.Dir == "" {
			o.Dir = t.TempDir()
		}
		_, errs := together(t, 3, cfg, s, o, func(rank int, _ *context.Context, be *backend.Backend, s *train.Source) {
			if c.edit != nil {
				c.edit(rank, be, s)
			}
		})
		for rank, err := range errs {
			p := (*comm.PeerError)(nil)
			if !errors.As(err, &p) || p.Rank != c.at || p.Code != 42 || !strings.Contains(err.Error(), c.want) || (p.Err != nil) != (rank == c.at) {
				t.Errorf("%s: rank %d ends with %v, want a word of rank %d with %q", c.name, rank, err, c.at, c.want)
			}
		}
	}
}

// Annealed importance sampling on ranks gives every one the numbers of one
// process, bit for bit.
func TestAISOnRanks(t *testing.T) {
	s := set(t, 60, 11)
	n := backendtest.RandomRBM(11, 7, 2, 3)
	q, err := spin.Quantize(n)
	check(t, err)
	total, err := train.Sums(s)
	check(t, err)
	start, err := train.Sample(s, 20)
	check(t, err)
	c := train.AISConfig{Chains: 150, Temperatures: 30, BurnIn: 5, Seed: 7, Base: train.BaseRates(total, s.Rows()), Start: start}
	want, err := train.AnnealedImportance(context.Background(), open(t), q, c)
	check(t, err)
	for _, size := range []int{2, 3, 7} {
		var done sync.WaitGroup
		got, errs := make([]*train.AIS, size), make([]error, size)
		for rank, g := range group(size) {
			be, mine := open(t), c
			mine.Group = g
			done.Add(1)
			go func() {
				defer done.Done()
				got[rank], errs[rank] = train.AnnealedImportance(context.Background(), be, q, mine)
			}()
		}
		done.Wait()
		for rank := range size {
			if errs[rank] != nil || *got[rank] != *want {
				t.Errorf("rank %d of %d: %+v, %v, want %+v", rank, size, got[rank], errs[rank], want)
			}
		}
	}
	c.Chains, c.Group = 2, group(3)[1]
	if _, err := train.AnnealedImportance(context.Background(), open(t), q, c); err == nil {
		t.Error("2 chains on 3 ranks are accepted")
	}
}
