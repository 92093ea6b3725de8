package lattice

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"kadanoff/kernels/isa"
)

const guard = 0xfeedfacecafebeef

// random returns a guarded slice of n words at an odd offset.
func random(rng *rand.Rand, n int) (s []uint64, intact func() bool) {
	all := make([]uint64, n+6)
	for i := range all {
		all[i] = guard
	}
	s = all[3 : n+3 : n+3]
	for i := range s {
		s[i] = rng.Uint64()
	}
	return s, func() bool {
		return all[0] == guard && all[1] == guard && all[2] == guard && all[n+3] == guard && all[n+4] == guard && all[n+5] == guard
	}
}

// job returns an update with random contents.
func job(rng *rand.Rand, rows, words, extra int) (u *Update, intact func() bool) {
	stride := (words + 2 + extra) * Lanes
	size := (rows + 2) * stride
	var ok [4]func() bool
	u = &Update{Start: stride + Lanes, Stride: stride, Rows: rows, Words: words, Right: rng.Uint64()&1 == 1}
	u.Spins, ok[0] = random(rng, size)
	u.Other, ok[1] = random(rng, size)
	u.State, ok[2] = random(rng, 4*Lanes)
	u.Log, ok[3] = random(rng, LogSize(rows*words))
	u.Mask, _ = random(rng, words*Lanes)
	for i := range u.Mask {
		u.Mask[i] |= rng.Uint64() | rng.Uint64()
	}
	u.Planes, _ = random(rng, Planes*2*Lanes)
	for bit := range Bits {
		one, none := rng.Uint64(), rng.Uint64()
		if bit%3 == 0 {
			one, none = Thresholds(Metropolis, 0.5+float64(bit)/100)
		}
		SetPlanes(u.Planes, bit, bit+1, one, none)
	}
	return u, func() bool { return ok[0]() && ok[1]() && ok[2]() && ok[3]() }
}

func clone(u *Update) *Update {
	c := *u
	c.Spins, c.State, c.Log = slices.Clone(u.Spins), slices.Clone(u.State), slices.Clone(u.Log)
	return &c
}

// undecided sorts a log by lane.
func undecided(k *Kernel, log []uint64, entries int) map[uint64]uint64 {
	m := map[uint64]uint64{}
	for i := range entries {
		e := log[i*(k.Lanes+1):][:k.Lanes+1]
		for l, b := range e[1:] {
			if b != 0 {
				m[e[0]+2*uint64(l)] |= b
			}
		}
	}
	return m
}

// define is the update word for word as the package comment defines it, one
// bit after the other, with the thresholds taken from the planes.
func define(a Algorithm, u *Update) map[uint64]uint64 {
	open := map[uint64]uint64{}
	var gen [Lanes]xoshiro
	for l := range gen {
		for i := range gen[l] {
			gen[l][i] = u.State[i*Lanes+l]
		}
	}
	threshold := func(bit int, odd bool) (p uint64) {
		for i := range Planes {
			v := u.Planes[2*i*Lanes+bit/64]
			if odd {
				v ^= u.Planes[(2*i+1)*Lanes+bit/64]
			}
			p |= v >> (bit % 64) & 1 << (15 - drawn(i))
		}
		return p // sixteen bits
	}
	draw := func() (u [Bits]uint64) {
		for k := range 8 {
			for l := range Lanes {
				w := gen[l].next()
				for b := range 64 {
					u[l*64+b] |= w >> b & 1 << k
				}
			}
		}
		return u
	}
	right := u.Right
	for row := range u.Rows {
		word := 0
		n, base, rem := groups(u.Words)
		for g := range n {
			size := base
			if g < rem {
				size++
			}
			var own [GroupWords][Bits]uint64
			for q := range size {
				own[q] = draw()
			}
			shared := draw()
			for bit := range Bits {
				taken := false
				for q := range size {
					i := u.Start + row*u.Stride + (word+q)*Lanes + bit/64
					at := func(s []uint64, i int) int { return int(s[i] >> (bit % 64) & 1) }
					s := at(u.Spins, i)
					anti := 0
					side := i - Lanes
					if right {
						side = i + Lanes
					}
					for _, j := range []int{i - u.Stride, i + u.Stride, i, side} {
						anti += s ^ at(u.Other, j)
					}
					if u.Mask[(word+q)*Lanes+bit/64]>>(bit%64)&1 == 0 {
						continue
					}
					flip := func() { u.Spins[i] ^= 1 << (bit % 64) }
					if a == Metropolis && anti >= 2 {
						flip()
						continue
					}
					if anti == 2 {
						if own[q][bit]>>7 == 0 {
							flip()
						}
						continue
					}
					p := threshold(bit, anti&1 == 1)
					below := own[q][bit] < p>>8
					if own[q][bit] == p>>8 {
						if taken || shared[bit] == p&255 {
							flag := uint64(0)
							if taken {
								flag = 1
							}
							open[2*uint64(i)|flag] |= 1 << (bit % 64)
						} else {
							below = shared[bit] < p&255
						}
						taken = true
					}
					if below != (anti > 2) {
						flip()
					}
				}
			}
			word += size
		}
		right = !right
	}
	for l := range gen {
		for i := range gen[l] {
			u.State[i*Lanes+l] = gen[l][i]
		}
	}
	return open
}

func paths() []*Kernel {
	var ks []*Kernel
	for i := range kernels {
		if isa.Has(kernels[i].Level) {
			ks = append(ks, &kernels[i])
		}
	}
	return ks
}

func TestUpdateAgainstDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, c := range [][3]int{{1, 1, 0}, {2, 2, 1}, {3, 5, 0}, {5, 7, 2}, {2, 8, 0}, {3, 11, 1}, {1, 17, 0}, {4, 31, 0}} {
		for _, a := range []Algorithm{Metropolis, HeatBath} {
			u, _ := job(rng, c[0], c[1], c[2])
			want := clone(u)
			open := define(a, want)
			for _, k := range paths() {
				got := clone(u)
				m := undecided(k, got.Log, k.Update(a, got))
				name := fmt.Sprintf("%s, algorithm %d, %d rows of %d words", k.Level, a, c[0], c[1])
				if !slices.Equal(got.Spins, want.Spins) {
					t.Errorf("%s: spins differ", name)
				}
				if !slices.Equal(got.State, want.State) {
					t.Errorf("%s: states differ", name)
				}
				if fmt.Sprint(m) != fmt.Sprint(open) {
					t.Errorf("%s: undecided spins differ", name)
				}
			}
		}
	}
}

// Nothing outside the slices is written, whatever their alignment.
func TestGuards(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	for _, k := range paths() {
		for _, a := range []Algorithm{Metropolis, HeatBath} {
			u, intact := job(rng, 3, 13, 0)
			k.Update(a, u)
			if !intact() {
				t.Errorf("%s: wrote outside", k.Level)
			}
		}
	}
}

func TestCount(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	for _, c := range [][2]int{{1, 1}, {2, 3}, {7, 31}, {64, 64}} {
		u, _ := job(rng, c[0], c[1], 1)
		before, _ := random(rng, 2*Depth*Lanes)
		for i := range before {
			if i/Lanes%Depth > 20 {
				before[i] = 0
			}
		}
		value := func(total []uint64, bit int) (n int) {
			for k := range Depth {
				n += int(total[k*Lanes+bit/64]>>(bit%64)&1) << k
			}
			return n
		}
		for _, k := range paths() {
			total, intact := random(rng, 2*Depth*Lanes)
			copy(total, before)
			k.Count(&Count{Spins: u.Spins, Other: u.Other, Start: u.Start, Stride: u.Stride, Rows: u.Rows, Words: u.Words, Right: u.Right, Mask: u.Mask, Total: total})
			for bit := range Bits {
				bonds, ups := 0, 0
				right := u.Right
				for row := range u.Rows {
					for w := range u.Words {
						i := u.Start + row*u.Stride + w*Lanes + bit/64
						if u.Mask[w*Lanes+bit/64]>>(bit%64)&1 == 0 {
							continue
						}
						at := func(s []uint64, i int) int { return int(s[i] >> (bit % 64) & 1) }
						s := at(u.Spins, i)
						ups += s + at(u.Other, i)
						for _, j := range []int{i - u.Stride, i + u.Stride, i, i + sideOffset(right)} {
							bonds += s ^ at(u.Other, j)
						}
					}
					right = !right
				}
				if got, want := value(total, bit), value(before, bit)+bonds; got != want {
					t.Fatalf("%s, %v: bit %d has %d bonds, want %d", k.Level, c, bit, got, want)
				}
				if got, want := value(total[Depth*Lanes:], bit), value(before[Depth*Lanes:], bit)+ups; got != want {
					t.Fatalf("%s, %v: bit %d has %d up spins, want %d", k.Level, c, bit, got, want)
				}
			}
			if !intact() {
				t.Errorf("%s: wrote outside", k.Level)
			}
		}
	}
}

// Ranges of positions are set alike, and nothing beside them.
func TestSetPlanes(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 1))
	for _, r := range [][2]int{{0, 512}, {3, 4}, {60, 70}, {64, 128}, {511, 512}, {32, 64}, {100, 300}} {
		got, intact := random(rng, Planes*2*Lanes)
		want := slices.Clone(got)
		one, none := rng.Uint64(), rng.Uint64()
		SetPlanes(got, r[0], r[1], one, none)
		for i := range Planes {
			for bit := r[0]; bit < r[1]; bit++ {
				n := none >> (63 - drawn(i)) & 1
				o := one >> (63 - drawn(i)) & 1
				for j, v := range []uint64{n, n ^ o} {
					w := &want[(2*i+j)*Lanes+bit/64]
					*w = *w&^(1<<(bit%64)) | v<<(bit%64)
				}
			}
		}
		if !slices.Equal(got, want) || !intact() {
			t.Errorf("positions %v are wrong", r)
		}
	}
}

func TestThresholds(t *testing.T) {
	for _, temp := range []float64{0.1, 0.5, 1, 2.269, 5, 1e3, 1e9} {
		for _, a := range []Algorithm{Metropolis, HeatBath} {
			one, none := Thresholds(a, temp)
			for i, got := range []uint64{one, none} {
				p := math.Exp(-4 * float64(i+1) / temp)
				if a == HeatBath {
					p /= 1 + p
				}
				if math.Abs(math.Ldexp(float64(got), -64)-p) > 1e-15 {
					t.Errorf("T=%g, algorithm %d: threshold %d is %g, want %g", temp, a, i, math.Ldexp(float64(got), -64), p)
				}
			}
		}
	}
	// e^{−1} and e^{−2} to 64 bits, from their decimal expansions.
	one, none := Thresholds(Metropolis, 4)
	if one != 0x5e2d58d8b3bcdf1a || none != 0x22a555477f03973f {
		t.Errorf("thresholds at T=4 are %#x, %#x", one, none)
	}
	for _, temp := range []float64{0, 1e-300} {
		if one, none := Thresholds(Metropolis, temp); one|none != 0 {
			t.Errorf("T=%g: %d, %d, want 0", temp, one, none)
		}
	}
	if one, none := Thresholds(Metropolis, math.Inf(1)); one != math.MaxUint64 || none != one {
		t.Errorf("T=∞: %d, %d, want 2^64−1", one, none)
	}
}

// BenchmarkUpdate has the shape of one 1024×1024 lattice at T = 2.269: 512
// tiles of 64×32. Goal with AVX-512: three times the plain multi-spin code of
// bench/peers; AVX2 at 45 % of AVX-512.
func BenchmarkUpdate(b *testing.B) {
	rng := rand.New(rand.NewPCG(4, 1))
	for _, k := range paths() {
		for a, name := range []string{"metropolis", "heatbath"} {
			b.Run(k.Level.String()+"/"+name, func(b *testing.B) {
				u, _ := job(rng, 32, 32, 0)
				u.Spins, u.Other, u.Mask, u.Planes, u.State, u.Log = Aligned(len(u.Spins)), Aligned(len(u.Other)), Aligned(len(u.Mask)), Aligned(len(u.Planes)), Aligned(len(u.State)), Aligned(len(u.Log))
				for i := range u.Mask {
					u.Mask[i] = math.MaxUint64
				}
				for i := range u.State {
					u.State[i] = rng.Uint64()
				}
				one, none := Thresholds(Algorithm(a), 2.269)
				SetPlanes(u.Planes, 0, Bits, one, none)
				flips := float64(u.Rows * u.Words * Bits)
				best := math.Inf(1)
				entries := 0
				for range b.N {
					start := time.Now()
					entries = k.Update(Algorithm(a), u)
					best = min(best, float64(time.Since(start).Nanoseconds()))
				}
				b.ReportMetric(flips/best, "flips/ns")
				b.ReportMetric(float64(entries), "undecided")
			})
		}
	}
}

func BenchmarkCount(b *testing.B) {
	rng := rand.New(rand.NewPCG(4, 1))
	for _, k := range paths() {
		b.Run(k.Level.String(), func(b *testing.B) {
			u, _ := job(rng, 32, 32, 0)
			c := &Count{Spins: Aligned(len(u.Spins)), Other: Aligned(len(u.Other)), Start: u.Start, Stride: u.Stride, Rows: 32, Words: 32, Mask: Aligned(len(u.Mask)), Total: Aligned(2 * Depth * Lanes)}
			best := math.Inf(1)
			for range b.N {
				start := time.Now()
				k.Count(c)
				best = min(best, float64(time.Since(start).Nanoseconds()))
			}
			b.ReportMetric(2*32*32*512/best, "spins/ns")
		})
	}
}
