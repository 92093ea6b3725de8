package lattice

import (
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"kadanoff/spin/philox"
)

func bitOf(w []uint64, i int) uint64 { return w[i/64] >> (i % 64) & 1 }

func TestTurn(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 1))
	src, dst := make([]uint64, Lanes), make([]uint64, Lanes)
	for i := range src {
		src[i] = rng.Uint64()
	}
	for block := 1; block <= Bits; block *= 2 {
		for step := 1; step <= min(block, 32); step *= 2 {
			for _, reverse := range []bool{false, true} {
				turn := NewTurn(block, step, reverse)
				turn.Word(dst, src)
				for i := range Bits {
					d := step
					if reverse {
						d = block - step
					}
					if from := i/block*block + (i%block+d)%block; bitOf(dst, i) != bitOf(src, from) {
						t.Fatalf("block %d step %d reverse %v: bit %d is not bit %d of the source", block, step, reverse, i, from)
					}
				}
			}
		}
	}
}

// The halo holds the neighbours across tiles: sites are numbered, and each
// tile's border must show the numbers of the tiles around it.
func TestHalo(t *testing.T) {
	for _, tiles := range []Tiles{
		{X: 1, Y: 1, Width: 2, Height: 2},
		{X: 1, Y: 1, Width: 6, Height: 4},
		{X: 4, Y: 2, Width: 6, Height: 8},
		{X: 8, Y: 4, Width: 4, Height: 6, NarrowX: 3},
		{X: 2, Y: 16, Width: 8, Height: 4, NarrowX: 1, NarrowY: 15},
		{X: 32, Y: 16, Width: 4, Height: 4, NarrowX: 31, NarrowY: 1},
	} {
		tiles.Prepare()
		width, height := tiles.X*tiles.Width-2*tiles.NarrowX, tiles.Y*tiles.Height-2*tiles.NarrowY
		// Origins and sides of tiles.
		x0, y0, w, h := []int{}, []int{}, []int{}, []int{}
		for u, x := 0, 0; u < tiles.X; u++ {
			n := tiles.Width
			if u >= tiles.X-tiles.NarrowX {
				n -= 2
			}
			x0, w = append(x0, x), append(w, n)
			x += n
		}
		for v, y := 0, 0; v < tiles.Y; v++ {
			n := tiles.Height
			if v >= tiles.Y-tiles.NarrowY {
				n -= 2
			}
			y0, h = append(y0, y), append(h, n)
			y += n
		}
		area := tiles.X * tiles.Y
		// One bit of the site's number at a time.
		for k := 0; 1<<k < width*height; k++ {
			var spins [2][]uint64
			for c := range spins {
				spins[c] = make([]uint64, tiles.Size())
			}
			for bit := range Bits {
				u, v := bit%tiles.X, bit/tiles.X%tiles.Y
				for y := range h[v] {
					for x := range w[u] {
						site := (y0[v]+y)*width + x0[u] + x
						spins[(x+y)&1][tiles.Start(y)+x/2*Lanes+bit/64] |= uint64(site) >> k & 1 << (bit % 64)
					}
				}
			}
			for c := range spins {
				for y := range tiles.Height {
					tiles.Sides(spins[c], c, y)
				}
				tiles.Top(spins[c])
				tiles.Bottom(spins[c])
			}
			for bit := range Bits {
				u, v := bit%tiles.X, bit/tiles.X%tiles.Y
				for y := range h[v] {
					for x := range w[u] {
						c := (x + y) & 1
						i := tiles.Start(y) + x/2*Lanes + bit/64
						gx, gy := x0[u]+x, y0[v]+y
						want := []int{
							(gy+height-1)%height*width + gx, (gy+1)%height*width + gx,
							gy*width + (gx+1)%width, gy*width + (gx+width-1)%width,
						}
						other := spins[1-c]
						got := []int{
							int(other[i-tiles.Stride()] >> (bit % 64) & 1), int(other[i+tiles.Stride()] >> (bit % 64) & 1),
							int(other[i] >> (bit % 64) & 1), int(other[i+sideOffset(Right(c, y))] >> (bit % 64) & 1),
						}
						if Right(c, y) { // the neighbour at the same place is on the left
							got[2], got[3] = got[3], got[2]
						}
						for j, site := range want {
							if got[j] != site>>k&1 {
								t.Fatalf("%d×%d tiles of %d×%d: neighbour %d of site (%d, %d) is wrong in bit %d of its number (word bit %d of %d tiles)",
									tiles.X, tiles.Y, tiles.Width, tiles.Height, j, gx, gy, k, bit, area)
							}
						}
					}
				}
			}
		}
	}
}

func TestSums(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 1))
	total := make([]uint64, Depth*Lanes)
	for i := range total {
		if i/Lanes < 19 {
			total[i] = rng.Uint64()
		}
	}
	for field := 1; field <= Bits; field *= 2 {
		dst := make([]int64, Bits/field)
		for i := range dst {
			dst[i] = -1
		}
		Sums(dst, total, field, 1<<19-1)
		for r, got := range dst {
			want := int64(0)
			for k := range Depth {
				for b := r * field; b < (r+1)*field; b++ {
					want += int64(bitOf(total[k*Lanes:], b)) << k
				}
			}
			if got != want {
				t.Fatalf("field %d: sum %d is %d, want %d", field, r, got, want)
			}
		}
	}
}

// What a sweep draws is what Words says.
func TestWordsAreWhatUpdatesDraw(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 1))
	u, _ := job(rng, 2, 13, 0)
	state := slices.Clone(u.State)
	kernels[0].Update(Metropolis, u)
	// Two rows of groups of seven and six words.
	Words(make([]uint64, 2*(13+2)*8*Lanes), state)
	if !slices.Equal(state, u.State) {
		t.Error("the generator is not where Words leaves it")
	}
	x := xoshiro{1, 2, 3, 4}
	// The first outputs of the authors' reference code for this state.
	for i, want := range []uint64{41943041, 58720359, 3588806011781223, 3591011842654386} {
		if got := x.next(); got != want {
			t.Errorf("output %d of xoshiro256++ is %d, want %d", i, got, want)
		}
	}
}

func TestSeed(t *testing.T) {
	key := philox.NewKey(99)
	state := make([]uint64, 4*Lanes)
	Seed(state, key, 5, 3, 1<<33+7)
	for lane := range Lanes {
		for j := range 4 {
			b := philox.Block([4]uint32{5, uint32(philox.Lattice)<<24 | 3<<4 | uint32(lane/2*4+j), 7, 2}, key)
			want := uint64(b[lane%2*2+1])<<32 | uint64(b[lane%2*2])
			if state[j*Lanes+lane] != want {
				t.Errorf("word %d of lane %d is %x, want %x", j, lane, state[j*Lanes+lane], want)
			}
		}
	}
}

// Rest compares the bits after the known ones.
func TestRest(t *testing.T) {
	key := philox.NewKey(1)
	for _, site := range []uint64{0, 1, 12345, 1<<25 + 3, 1<<31 - 1} {
		const sweep = 1<<40 + 9
		b := philox.Block([4]uint32{77, (uint32(philox.Lattice)|philox.LowBits)<<24 | uint32(site/2%(1<<24)), sweep & (1<<32 - 1), sweep>>32 | uint32(site>>25)<<16}, key)
		u := uint64(b[site%2*2+1])<<32 | uint64(b[site%2*2])
		for _, known := range []int{8, 16} {
			rest := u >> known
			for d, want := range map[uint64]bool{0: false, 1: true} {
				threshold := uint64(0xab)<<56 | (rest + d)
				if known == 16 {
					threshold = 0xabcd<<48 | (rest + d)
				}
				if got := Rest(key, 77, site, sweep, threshold, known); got != want {
					t.Errorf("site %d, %d bits known, threshold %d above: %v", site, known, d, got)
				}
			}
		}
	}
}

// Thresholds at full precision: p·2⁶⁴ from a series in twice the precision.
func TestThresholdsToTheLastBit(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 1))
	for range 50 {
		temp := 0.1 + 6*rng.Float64()
		one, none := Thresholds(Metropolis, temp)
		hotOne, hotNone := Thresholds(HeatBath, temp)
		for i, got := range []uint64{one, none, hotOne, hotNone} {
			x := new(big.Float).SetPrec(400).SetInt64(int64(4 + i%2*4))
			x.Quo(x, new(big.Float).SetPrec(400).SetFloat64(temp))
			// eˣ by its series without reduction: x < 80, terms below 2¹²⁰.
			e, term := new(big.Float).SetPrec(400).SetInt64(1), new(big.Float).SetPrec(400).SetInt64(1)
			for n := int64(1); n < 500; n++ {
				term.Mul(term, x)
				term.Quo(term, new(big.Float).SetPrec(400).SetInt64(n))
				e.Add(e, term)
			}
			if i >= 2 {
				e.Add(e, new(big.Float).SetInt64(1))
			}
			p := new(big.Float).SetPrec(400).SetMantExp(new(big.Float).SetPrec(400).SetInt64(1), 64)
			p.Quo(p, e)
			if want, _ := p.Uint64(); got != want {
				t.Errorf("T=%v: threshold %d is %#x, want %#x", temp, i, got, want)
			}
		}
	}
}
