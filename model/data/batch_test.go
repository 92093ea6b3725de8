package data

import (
	"math/rand/v2"
	"testing"

	"kadanoff/spin"
)

func TestTranspose(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var m, want [64]uint64
	for u := range m {
		m[u] = r.Uint64()
		for k := range 64 {
			want[k] |= m[u] >> k & 1 << u
		}
	}
	transpose(&m)
	if m != want {
		t.Error("a transposed matrix differs from its definition")
	}
}

func TestBatch(t *testing.T) {
	const rows, width = 211, 131
	r := rand.New(rand.NewPCG(5, 7))
	list := make([]uint8, rows*width)
	for i := range list {
		list[i] = uint8(r.Uint32() & 1)
	}
	// The higher value comes first, so that bits are kept inverted.
	list[0] = 1
	path := write(t, "x.npy", npyBytes(t, "|u1", false, list, rows, width))
	for _, limit := range []int64{0, 1 << 10} {
		s, err := Load(path, Options{MemoryLimit: limit, TempDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		p, err := LoadProbabilities(path, Options{MemoryLimit: limit, TempDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		for _, n := range []int{1, 63, 64, 65, 193} {
			order := make([]int, n)
			for k := range order {
				order[k] = r.IntN(rows)
			}
			b, c := spin.NewBatch(width, n), spin.NewBatch(width, n)
			// What was there before must not show.
			for i := range b.Bits {
				b.Bits[i] = ^uint64(0)
			}
			if err := s.Batch(b, order); err != nil {
				t.Fatal(err)
			}
			if err := b.Check(); err != nil {
				t.Fatal(err)
			}
			// Probabilities of 0 and 1 leave nothing to chance.
			if err := p.Batch(c, order, func(int, int) uint32 { return r.Uint32() }); err != nil {
				t.Fatal(err)
			}
			for k, row := range order {
				for u := range width {
					if want := list[row*width+u] == 1; b.Up(u, k) != want || c.Up(u, k) != want {
						t.Fatalf("%d chains: unit %d of chain %d (row %d) is %v, drawn %v, want %v", n, u, k, row, b.Up(u, k), c.Up(u, k), want)
					}
				}
			}
		}
		b := spin.NewBatch(width, 2)
		for _, order := range [][]int{{0}, {0, rows}, {-1, 0}} {
			if err := s.Batch(b, order); err == nil {
				t.Errorf("rows %v fill a batch of 2", order)
			}
			if err := p.Batch(b, order, func(int, int) uint32 { return 0 }); err == nil {
				t.Errorf("rows %v are drawn into a batch of 2", order)
			}
		}
		if err := s.Batch(spin.NewBatch(width+1, 1), []int{0}); err == nil {
			t.Error("a batch of another width is filled")
		}
		if limit == 0 {
			order := []int{3, 1, 4}
			b := spin.NewBatch(width, 3)
			if n := testing.AllocsPerRun(10, func() {
				if err := s.Batch(b, order); err != nil {
					t.Error(err)
				}
			}); n != 0 {
				t.Errorf("%v allocations a batch", n)
			}
		}
	}
}

// Goal: 100 rows of 784 in 20 µs, an epoch of 60000 in 12 ms.
func BenchmarkBatch(b *testing.B) {
	const rows, width = 10000, 784
	r := rand.New(rand.NewPCG(1, 1))
	words := make([]uint64, rows*words64(width))
	for i := range words {
		words[i] = r.Uint64()
		if i%13 == 12 {
			words[i] &= tailMask(width)
		}
	}
	s, err := New("x", words, 28, 28)
	if err != nil {
		b.Fatal(err)
	}
	order := make([]int, 100)
	for k := range order {
		order[k] = r.IntN(rows)
	}
	dst := spin.NewBatch(width, len(order))
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Batch(dst, order); err != nil {
			b.Fatal(err)
		}
	}
}
