package spin

import (
	"math"
	"math/big"
	"testing"
)

func sigma(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// |Δp| ≤ 3e-8 over the whole range of fields, by the rule's own count of the
// draws that give +1.
func TestTailError(t *testing.T) {
	if n := len(TailTable()); n != 12<<11+2 {
		t.Fatalf("table has %d entries", n)
	}
	worst := 0.0
	for x := uint32(0); x <= XMax; x += 97 {
		p := float64(Tail(x)) / (1 << 32)
		worst = max(worst, math.Abs(p-sigma(-2*math.Ldexp(float64(x), -XBits))))
	}
	if worst > 3e-8 {
		t.Errorf("largest |Δp| is %.3g, want at most 3e-8", worst)
	}
	if Tail(0) != 1<<31 || Tail(XMax) != 0 {
		t.Errorf("Tail is %d at 0 and %d at 12", Tail(0), Tail(XMax))
	}
}

func TestScaledField(t *testing.T) {
	for _, a := range []int32{0, 1, -1, 3, 1 << 23, -(1 << 23), math.MaxInt32, -math.MaxInt32} {
		for _, temp := range []float64{0, MinTemperature, 0.3, 1, 2.5, 1e6, 1e9, math.Inf(1)} {
			for _, frac := range []uint{MinFrac, 17, MaxFrac} {
				beta, err := Beta(temp)
				if err != nil {
					t.Fatal(err)
				}
				want := new(big.Int).Mul(big.NewInt(int64(a)), new(big.Int).SetUint64(beta))
				want.Abs(want).Rsh(want, frac)
				if want.Cmp(big.NewInt(XMax)) > 0 {
					want.SetInt64(XMax)
				}
				if got := ScaledField(a, beta, frac); uint64(got) != want.Uint64() {
					t.Errorf("ScaledField(%d, T=%v, %d) = %d, want %v", a, temp, frac, got, want)
				}
			}
		}
	}
}

func TestBeta(t *testing.T) {
	for _, bad := range []float64{-1, -0.001, 1e-9, MinTemperature / 2, math.NaN(), math.Inf(-1)} {
		if b, err := Beta(bad); err == nil {
			t.Errorf("Beta(%v) = %d, want an error", bad, b)
		}
	}
	if b, _ := Beta(1); b != 1<<24 {
		t.Errorf("Beta(1) = %d", b)
	}
}

// Up accepts exactly the draws below its threshold; T = 0 is the sign and a
// fair coin.
func TestUp(t *testing.T) {
	one, _ := Beta(1)
	for _, a := range []int32{0, 1, -1, 5000, -5000, 1 << 22, -(1 << 22), 90 << 20, -(90 << 20), math.MaxInt32, -math.MaxInt32} {
		s := uint64(Tail(ScaledField(a, one, 23)))
		if a >= 0 {
			s = 1<<32 - s
		}
		for _, u := range []uint64{0, s - 2, s - 1, s, s + 1, math.MaxUint32} {
			if u > math.MaxUint32 {
				continue
			}
			if got := Up(a, one, 23, uint32(u)); got != (u < s) {
				t.Errorf("Up(%d, u=%d) = %v, threshold %d", a, u, got, s)
			}
		}
	}
	for _, u := range []uint32{0, 1<<31 - 1, 1 << 31, math.MaxUint32} {
		if !Up(1, BetaCold, 23, u) || Up(-1, BetaCold, 23, u) || Up(0, BetaCold, 23, u) != (u < 1<<31) {
			t.Errorf("at T = 0 and u = %d the rule is not the sign and a fair coin", u)
		}
	}
}

func TestMean(t *testing.T) {
	for _, temp := range []float64{0.5, 1, 3} {
		beta, _ := Beta(temp)
		for a := int32(-1 << 27); a < 1<<27; a += 1<<18 + 77 {
			want := math.Tanh(math.Ldexp(float64(a), -20) / temp)
			if got := float64(Mean(a, beta, 20)) / (1 << MeanBits); math.Abs(got-want) > 4e-7 {
				t.Fatalf("Mean(%d) at T = %v is %v, want %v", a, temp, got, want)
			}
			if Mean(a, beta, 20) != -Mean(-a, beta, 20) {
				t.Fatalf("Mean is not odd at %d", a)
			}
		}
	}
	if Mean(1, BetaCold, 23) != 1<<MeanBits || Mean(0, BetaCold, 23) != 0 {
		t.Error("Mean at T = 0 is not the sign")
	}
}

func TestInterpolate(t *testing.T) {
	for _, a := range []int32{0, 12345, -777, math.MaxInt32, -math.MaxInt32} {
		for _, b := range []int32{0, 99, math.MaxInt32, -math.MaxInt32} {
			if Interpolate(a, b, 1<<24) != a || Interpolate(a, b, 0) != b {
				t.Errorf("Interpolate(%d, %d) misses its ends", a, b)
			}
			mid := (float64(a) + float64(b)) / 2
			if got := Interpolate(a, b, 1<<23); math.Abs(float64(got)-mid) > 1 {
				t.Errorf("Interpolate(%d, %d, half) = %d", a, b, got)
			}
		}
	}
}
