package backendtest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"kadanoff/backend"
)

// LatticeCase is a lattice job whose result is known.
type LatticeCase struct {
	Name   string
	Sweeps int
	Every  int    // records after every that many sweeps
	Golden string // digest of records, levels and final spins
	spec   func() backend.LatticeSpec
}

// Spec returns a fresh copy of the case's job.
func (c *LatticeCase) Spec() backend.LatticeSpec { return c.spec() }

// spread returns n temperatures from 0.5 upward.
func spread(n int) []float64 {
	t := make([]float64, n)
	for i := range t {
		t[i] = 0.5 + float64(i%23)/8
	}
	return t
}

// LatticeCases are sides and numbers of replicas that cover every kind of
// geometry: a bit a replica, tiles of equal and of unequal size, several words,
// words in part, several blocks.
func LatticeCases() []LatticeCase {
	lattice := func(w, h, replicas int, t ...float64) func() backend.LatticeSpec {
		return func() backend.LatticeSpec {
			return backend.LatticeSpec{Width: w, Height: h, Replicas: replicas, Temperatures: t, Seed: 7, Random: true}
		}
	}
	with := func(spec func() backend.LatticeSpec, change func(*backend.LatticeSpec)) func() backend.LatticeSpec {
		return func() backend.LatticeSpec {
			s := spec()
			change(&s)
			return s
		}
	}
	heatBath := func(s *backend.LatticeSpec) { s.Algorithm = backend.HeatBath }
	tempered := func(s *backend.LatticeSpec) { s.Temperatures = spread(s.Held()) }
	return []LatticeCase{
		{"2x2", 9, 1, "b1e6cfbdbc04db6b5432f78c6c74b765", lattice(2, 2, 3, 2)},
		{"2x8", 9, 2, "18ea3ce27ccb0fcea348db39b8de15d2", lattice(2, 8, 1, 3)},
		{"4x4", 5, 1, "d53e6728d8422d18a17c372ef47db6b3", with(lattice(4, 4, 700, 2.5), tempered)},
		{"6x10", 5, 2, "7c3feff69eb868504b0f7bcc1c5d98dc", lattice(6, 10, 37, 1.5)},
		{"8x8-heat-bath", 5, 1, "142570f1651b92c266290629b347bec8", with(lattice(8, 8, 100, 2.269), heatBath)},
		{"34x14", 7, 3, "6845db5604fea5ecf2dbb5d530bcde79", lattice(34, 14, 1, 2.1)},
		{"22x26-heat-bath", 4, 1, "8d0922e57c69323777f159ec2c7a7b42", with(with(lattice(22, 26, 5, 1), heatBath), tempered)},
		{"64x64", 3, 1, "5690915127fd59e511dbb1e756b3e8aa", lattice(64, 64, 1, 2.269)},
		{"38x46", 3, 1, "43f3c020fd4cb63bc7bae98794340765", with(lattice(38, 46, 600, 3), tempered)},
		{"202x106", 3, 2, "2ae80c21ba221b7e72ebdb9aabd8d1fc", lattice(202, 106, 1, 2.269)},
		{"130x258", 2, 1, "ff8b6089644a4c8912fd7df77b057659", with(lattice(130, 258, 2, 1.5, 4), heatBath)},
		{"512x96-up", 3, 1, "9470ed774678d9ecae7464304ef99806", with(lattice(512, 96, 2, 2), func(s *backend.LatticeSpec) { s.Random, s.FirstSweep = false, 1<<40+17 })},
		{"512x512", 2, 1, "0507911b3087ea2320897d65a28f0cd2", lattice(512, 512, 1, 2.269)},
		{"1000x1018-heat-bath", 2, 1, "4260dedb0b54a01215108b5c5993aa5f", with(lattice(1000, 1018, 1, 2.269), heatBath)},
		{"zero-temperature", 4, 1, "024d529815a4f546deb48f6cc7a4e235", lattice(16, 12, 3, 0)},
		{"hot", 4, 1, "c18320bd2c249913d59987d6e030be7e", with(lattice(16, 12, 3, 1e300), heatBath)},
		{"exchange", 24, 1, "24f84f2619668bd62bf1621ab3b6f6d5", with(lattice(8, 6, 40, 1), func(s *backend.LatticeSpec) {
			tempered(s)
			s.Exchange, s.Ladder = 2, 8
		})},
	}
}

// CheckDigest runs the case on b, its replicas split into that many jobs, and
// compares with the golden digest.
func (c *LatticeCase) CheckDigest(ctx context.Context, b backend.Backend, parts int) error {
	got, err := c.Digest(ctx, b, parts)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	if got != c.Golden {
		return fmt.Errorf("%s: digest %s, want %s", c.Name, got, c.Golden)
	}
	return nil
}

// Digest returns the digest of the case's result on b, with the replicas split
// into parts of whole ladders.
func (c *LatticeCase) Digest(ctx context.Context, b backend.Backend, parts int) (string, error) {
	whole := c.spec()
	unit := 1
	if whole.Exchange > 0 {
		unit = whole.LadderLength()
	}
	units := whole.Replicas / unit
	parts = min(parts, units)
	rows := c.Sweeps / c.Every
	records := make([]int64, 2*rows*whole.Replicas)
	levels := make([]int32, whole.Replicas)
	sites := whole.Width * whole.Height
	spins := make([]int8, whole.Replicas*sites)
	for p := range parts {
		spec := c.spec()
		spec.First = p * units / parts * unit
		spec.Count = (p+1)*units/parts*unit - spec.First
		if len(spec.Temperatures) > 1 {
			spec.Temperatures = spec.Temperatures[spec.First : spec.First+spec.Count]
		}
		l, err := b.NewLattice(spec)
		if err != nil {
			return "", err
		}
		defer l.Close()
		e, m := make([]int64, rows*spec.Count), make([]int64, rows*spec.Count)
		if err := l.Record(ctx, c.Sweeps, c.Every, e, m); err != nil {
			return "", err
		}
		of := make([]int, spec.Count)
		if err := l.Levels(of); err != nil {
			return "", err
		}
		for r := range spec.Count {
			for k := range rows {
				at := 2 * (k*whole.Replicas + spec.First + r)
				records[at], records[at+1] = e[k*spec.Count+r], m[k*spec.Count+r]
			}
			levels[spec.First+r] = int32(spec.First + of[r])
			if err := l.State(r, spins[(spec.First+r)*sites:][:sites]); err != nil {
				return "", err
			}
		}
	}
	h := sha256.New()
	for _, v := range []any{records, levels, spins} {
		if err := binary.Write(h, binary.LittleEndian, v); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// lattices holds a backend's lattices to the suite.
func lattices(t *testing.T, b backend.Backend) {
	ctx := context.Background()
	t.Run("digests", func(t *testing.T) {
		for _, c := range LatticeCases() {
			for _, parts := range []int{1, 3} {
				if err := c.CheckDigest(ctx, b, parts); err != nil {
					t.Errorf("in %d parts: %v", parts, err)
				}
			}
		}
	})
	t.Run("records", func(t *testing.T) { latticeRecords(t, b) })
	t.Run("continue", func(t *testing.T) { latticeContinues(t, b) })
	t.Run("errors", func(t *testing.T) { latticeRefuses(t, b) })
	t.Run("cancel", func(t *testing.T) { latticeCancels(t, b) })
}

func openLattice(t *testing.T, b backend.Backend, spec backend.LatticeSpec) backend.Lattice {
	t.Helper()
	l, err := b.NewLattice(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, l.Close()) })
	return l
}

func latticeSpins(t *testing.T, l backend.Lattice, spec *backend.LatticeSpec) [][]int8 {
	t.Helper()
	all := make([][]int8, spec.Held())
	for r := range all {
		all[r] = make([]int8, spec.Width*spec.Height)
		check(t, l.State(r, all[r]))
	}
	return all
}

// What is recorded is the energy and magnetisation of the spins.
func latticeRecords(t *testing.T, b backend.Backend) {
	for _, c := range LatticeCases() {
		spec := c.Spec()
		if spec.Exchange > 0 {
			continue
		}
		l := openLattice(t, b, spec)
		e, m := make([]int64, spec.Held()), make([]int64, spec.Held())
		check(t, l.Record(context.Background(), 2, 2, e, m))
		for r, s := range latticeSpins(t, l, &spec) {
			var energy, magnet int64
			for y := range spec.Height {
				for x := range spec.Width {
					v := int64(s[y*spec.Width+x])
					magnet += v
					energy -= v * int64(s[y*spec.Width+(x+1)%spec.Width]+s[(y+1)%spec.Height*spec.Width+x])
				}
			}
			if e[r] != energy || m[r] != magnet {
				t.Fatalf("%s: replica %d has energy %d and magnetisation %d, recorded %d and %d", c.Name, r, energy, magnet, e[r], m[r])
			}
		}
	}
}

// Sweeps in pieces, and what a checkpoint holds put into a fresh lattice, give
// the bits of one run.
func latticeContinues(t *testing.T, b backend.Backend) {
	spec := backend.LatticeSpec{Width: 14, Height: 10, Replicas: 24, Temperatures: spread(24), Seed: 3, Exchange: 3, Ladder: 12}
	ctx := context.Background()
	whole := openLattice(t, b, spec)
	check(t, whole.Sweep(ctx, 13))
	want := latticeSpins(t, whole, &spec)

	pieces := openLattice(t, b, spec)
	for _, n := range []int{0, 2, 5} {
		check(t, pieces.Sweep(ctx, n))
	}
	mid := latticeSpins(t, pieces, &spec)
	levels := make([]int, 24)
	check(t, pieces.Levels(levels))
	moved := false
	for r, l := range levels {
		moved = moved || r != l
	}
	if !moved {
		t.Error("no temperatures were exchanged in seven sweeps")
	}
	fresh := spec
	fresh.FirstSweep = pieces.Sweeps()
	check(t, pieces.Sweep(ctx, 6))
	restored := openLattice(t, b, fresh)
	check(t, restored.SetLevels(levels))
	for r, s := range mid {
		check(t, restored.SetState(r, s))
	}
	check(t, restored.Sweep(ctx, 6))
	for what, l := range map[string]backend.Lattice{"in pieces": pieces, "restored": restored} {
		if l.Sweeps() != 13 {
			t.Errorf("%s: %d sweeps, want 13", what, l.Sweeps())
		}
		for r, s := range latticeSpins(t, l, &spec) {
			for i, v := range s {
				if v != want[r][i] {
					t.Fatalf("%s: replica %d differs at site %d", what, r, i)
				}
			}
		}
	}

	// New temperatures act like those of a new lattice with the same spins.
	single := backend.LatticeSpec{Width: 14, Height: 10, Replicas: 3, Temperatures: []float64{5}, Seed: 3}
	a := openLattice(t, b, single)
	check(t, a.SetTemperatures([]float64{1, 2, 3}))
	check(t, a.Sweep(ctx, 4))
	single.Temperatures = []float64{1, 2, 3}
	c := openLattice(t, b, single)
	check(t, c.Sweep(ctx, 4))
	was, is := latticeSpins(t, a, &single), latticeSpins(t, c, &single)
	for r := range was {
		for i := range was[r] {
			if was[r][i] != is[r][i] {
				t.Fatalf("replica %d differs at site %d after new temperatures", r, i)
			}
		}
	}
}

func latticeRefuses(t *testing.T, b backend.Backend) {
	good := backend.LatticeSpec{Width: 4, Height: 6, Replicas: 4, Temperatures: []float64{1, 2, 3, 4}}
	for _, c := range []struct {
		change func(*backend.LatticeSpec)
		want   string
	}{
		{func(s *backend.LatticeSpec) { s.Width = 5 }, "5x6: both sides must be even"},
		{func(s *backend.LatticeSpec) { s.Height = 0 }, "at least 2"},
		{func(s *backend.LatticeSpec) { s.Width, s.Height = 1<<20, 1<<20 }, "more than 2³¹"},
		{func(s *backend.LatticeSpec) { s.Replicas = 0 }, "0 replicas"},
		{func(s *backend.LatticeSpec) { s.First, s.Count = 3, 2 }, "replicas 3 to 4 of 4"},
		{func(s *backend.LatticeSpec) { s.Temperatures = s.Temperatures[:3] }, "3 temperatures for 4"},
		{func(s *backend.LatticeSpec) { s.Temperatures[2] = -1 }, "temperature 2 is -1"},
		{func(s *backend.LatticeSpec) { s.Temperatures[0] = math.NaN() }, "temperature 0 is NaN"},
		{func(s *backend.LatticeSpec) { s.Temperatures[1], s.Exchange = 0, 1 }, "more than 0 for exchange"},
		{func(s *backend.LatticeSpec) { s.Exchange, s.Ladder = 1, 3 }, "not whole ladders of 3"},
		{func(s *backend.LatticeSpec) { s.Algorithm = 9 }, "algorithm 9"},
		{func(s *backend.LatticeSpec) { s.FirstSweep = 1 << 48 }, "below 2⁴⁸"},
	} {
		spec := good
		spec.Temperatures = append([]float64(nil), good.Temperatures...)
		c.change(&spec)
		if l, err := b.NewLattice(spec); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
			if err == nil {
				l.Close()
			}
		}
	}
	l := openLattice(t, b, good)
	for want, err := range map[string]error{
		"3 records, want 4":    l.Record(context.Background(), 1, 1, make([]int64, 3), nil),
		"-1 sweeps":            l.Sweep(context.Background(), -1),
		"replica 4 of the 4":   l.State(4, make([]int8, 24)),
		"23 spins":             l.SetState(0, make([]int8, 23)),
		"2 temperatures for 4": l.SetTemperatures([]float64{1, 2}),
		"replica 1 has level":  l.SetLevels([]int{0, 0, 2, 3}),
		"3 levels for 4":       l.Levels(make([]int, 3)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// A long run ends within a tenth of a second, after whole sweeps.
func latticeCancels(t *testing.T, b backend.Backend) {
	spec := backend.LatticeSpec{Width: 64, Height: 64, Replicas: 50, Temperatures: []float64{2}, Seed: 5}
	l := openLattice(t, b, spec)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Millisecond)
	defer cancel()
	if err := l.Sweep(ctx, 1<<30); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%v, want the deadline's error", err)
	}
	whole := openLattice(t, b, spec)
	check(t, whole.Sweep(context.Background(), int(l.Sweeps())))
	sameLattices(t, l, whole, &spec)
}

func sameLattices(t *testing.T, a, b backend.Lattice, spec *backend.LatticeSpec) {
	t.Helper()
	want := latticeSpins(t, b, spec)
	for r, s := range latticeSpins(t, a, spec) {
		for i, v := range s {
			if v != want[r][i] {
				t.Fatalf("replica %d differs at site %d after a cancelled run", r, i)
			}
		}
	}
}
