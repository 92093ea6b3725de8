package couplings

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"kadanoff/backend"
)

// Scale says what the integers of a job mean: an energy e is e·Grain·10^Exp10
// when Exact, and else e·2^Exp2.
type Scale struct {
	Exact bool
	Grain *big.Int
	Exp10 int
	Exp2  int
	// RoundError is the largest rounding error of a coupling or field, and
	// EnergyError the sum of them all, which no energy is off by more than.
	RoundError, EnergyError float64
}

// Unit returns the energy of 1 as the nearest float64.
func (s Scale) Unit() float64 {
	if !s.Exact {
		return math.Ldexp(1, s.Exp2)
	}
	u, _ := strconv.ParseFloat(fmt.Sprintf("%de%d", s.Grain, s.Exp10), 64)
	return u
}

// Check reports a scale that Job does not make, read from elsewhere.
func (s Scale) Check() error {
	const most = 2000
	if s.Exact && (s.Grain == nil || s.Grain.Sign() <= 0 || s.Grain.BitLen() > 4*most) || max(s.Exp10, -s.Exp10, s.Exp2, -s.Exp2) > most {
		return fmt.Errorf("grain %d·10^%d or unit 2^%d is no scale of energies", s.Grain, s.Exp10, s.Exp2)
	}
	return nil
}

// Integer reports whether all energies are whole numbers.
func (s Scale) Integer() bool { return s.Exact && s.Exp10 >= 0 || !s.Exact && s.Exp2 >= 0 }

// Energy writes an energy as an exact decimal without an exponent.
func (s Scale) Energy(e int64) string {
	x := big.NewInt(e)
	digits := -s.Exp10
	if s.Exact {
		x.Mul(x, s.Grain)
	} else {
		digits = -s.Exp2
		if digits > 0 { // e·2^-k = e·5^k·10^-k
			x.Mul(x, new(big.Int).Exp(big.NewInt(5), big.NewInt(int64(digits)), nil))
		} else {
			x.Lsh(x, uint(-digits))
			digits = 0
		}
	}
	if digits <= 0 {
		return x.Mul(x, power10(-digits)).String()
	}
	sign := ""
	if x.Sign() < 0 {
		sign = "-"
	}
	t := x.Abs(x).String()
	if len(t) <= digits {
		t = strings.Repeat("0", digits-len(t)+1) + t
	}
	whole, frac := t[:len(t)-digits], strings.TrimRight(t[len(t)-digits:], "0")
	if frac != "" {
		frac = "." + frac
	}
	return sign + whole + frac
}

// Job returns the couplings in the fixed point of enumeration: integers of
// which Σ|J| + Σ|h| is below 2³⁰.
//
// Where the numbers are multiples of one power of ten, or of any common
// divisor, that fits, the job is exact. Integers that do not fit are an error
// that names the scale that would. Other numbers are rounded to the smallest
// power of two that fits, and Scale says how far off that is.
func (c *Couplings) Job() (*backend.EnumerateJob, Scale, error) {
	n := c.Spins
	if n > backend.MaxEnumerateSpins {
		return nil, Scale{}, fmt.Errorf("%s: %d spins, want at most %d to enumerate", c.Name, n, backend.MaxEnumerateSpins)
	}
	low := maxExponent
	for _, t := range c.Terms {
		if t.Value.mantissa != 0 {
			low = min(low, t.Value.exponent)
		}
	}
	values := map[[2]int]*big.Int{} // in units of 10^low
	for _, t := range c.Terms {
		if t.Value.mantissa == 0 {
			continue
		}
		k := [2]int{t.I, t.J}
		if values[k] == nil {
			values[k] = new(big.Int)
		}
		values[k].Add(values[k], t.Value.at(low))
	}
	grain, total := new(big.Int), new(big.Int)
	for _, v := range values {
		a := new(big.Int).Abs(v)
		grain.GCD(nil, nil, grain, a)
		total.Add(total, a)
	}
	if grain.Sign() == 0 {
		grain.SetInt64(1)
		low = 0
	}
	job := &backend.EnumerateJob{Coupling: make([]int32, n*n), Field: make([]int32, n)}
	put := func(k [2]int, v int64) {
		if k[0] == k[1] {
			job.Field[k[0]] = int32(v)
			return
		}
		job.Coupling[k[0]*n+k[1]], job.Coupling[k[1]*n+k[0]] = int32(v), int32(v)
	}
	limit := big.NewInt(backend.MaxEnumerateSum)
	if steps := new(big.Int).Quo(total, grain); steps.Cmp(limit) <= 0 {
		for k, v := range values {
			put(k, new(big.Int).Quo(v, grain).Int64())
		}
		s := Scale{Exact: true, Grain: grain, Exp10: low}
		ten, rest := big.NewInt(10), new(big.Int)
		for s.Exp10 < 0 {
			q, _ := new(big.Int).QuoRem(grain, ten, rest)
			if rest.Sign() != 0 {
				break
			}
			grain.Set(q)
			s.Exp10++
		}
		job.Unit = s.Unit()
		if !(job.Unit > 0) || math.IsInf(job.Unit, 1) {
			return nil, Scale{}, fmt.Errorf("%s: couplings in multiples of %de%d are beyond float64's range", c.Name, grain, low)
		}
		return job, s, nil
	} else if low >= 0 {
		whole := new(big.Int).Mul(total, power10(low))
		over := 0
		for steps.Cmp(limit) > 0 {
			steps.Rsh(steps, 1)
			over++
		}
		return nil, Scale{}, fmt.Errorf("%s: Σ|J| + Σ|h| = %s is beyond the range of exact energies, 2³⁰ = 1073741824: couplings divided by 2^%d and rounded would fit", c.Name, whole, over)
	}
	s, err := c.round(values, low, put)
	job.Unit = s.Unit()
	return job, s, err
}

// round puts the nearest multiples of a power of two: of the smallest one that
// fits.
func (c *Couplings) round(values map[[2]int]*big.Int, low int, put func(k [2]int, v int64)) (Scale, error) {
	unit := new(big.Rat).SetFrac(big.NewInt(1), power10(-low))
	exact := map[[2]int]*big.Rat{}
	sum := new(big.Rat)
	for k, v := range values {
		exact[k] = new(big.Rat).Mul(new(big.Rat).SetInt(v), unit)
		sum.Add(sum, new(big.Rat).Abs(exact[k]))
	}
	size, _ := new(big.Float).SetRat(sum).Float64()
	_, e := math.Frexp(size) // size < 2^e
	if math.IsInf(size, 1) || e < -1000 {
		return Scale{}, fmt.Errorf("%s: Σ|J| + Σ|h| is beyond float64's range", c.Name)
	}
	for exp := e - 30; ; exp++ {
		s := Scale{Exp2: exp}
		total := int64(0)
		rounded := map[[2]int]int64{}
		for k, x := range exact {
			y := new(big.Rat).Mul(x, twoTo(-exp))
			r := nearest(y)
			rounded[k] = r
			total += max(r, -r)
			off := new(big.Rat).Sub(y, new(big.Rat).SetInt64(r))
			o, _ := off.Float64()
			o = math.Ldexp(math.Abs(o), exp)
			s.RoundError = max(s.RoundError, o)
			s.EnergyError += o
		}
		if total > backend.MaxEnumerateSum {
			continue
		}
		for k, v := range rounded {
			put(k, v)
		}
		return s, nil
	}
}

func twoTo(e int) *big.Rat {
	p := new(big.Int).Lsh(big.NewInt(1), uint(max(e, -e)))
	if e < 0 {
		return new(big.Rat).SetFrac(big.NewInt(1), p)
	}
	return new(big.Rat).SetInt(p)
}

// nearest rounds to the nearest integer, ties to even.
func nearest(x *big.Rat) int64 {
	twice := new(big.Int).Mul(x.Num(), big.NewInt(2))
	den := x.Denom()
	twice.Add(twice, den) // floor((2n + d) / 2d) rounds halves up
	q, r := new(big.Int).DivMod(twice, new(big.Int).Mul(den, big.NewInt(2)), new(big.Int))
	if r.Sign() == 0 && q.Bit(0) == 1 {
		q.Sub(q, big.NewInt(1))
	}
	return q.Int64()
}
