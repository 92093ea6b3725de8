package couplings

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// Decimal is mantissa·10^exponent, the exact value of a number as it was
// written with up to 18 digits.
type Decimal struct {
	mantissa int64
	exponent int
}

// maxExponent bounds the decimal exponents of numbers: those of float64.
const maxExponent = 400

// ParseDecimal reads a number as C and Python write it. More than 18 digits are
// rounded to the nearest float64; infinities and NaN are errors.
func ParseDecimal(s string) (Decimal, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != f || strings.ContainsAny(s, "xXpP_") || f-f != 0 {
		return Decimal{}, fmt.Errorf("%s is not a finite number", short(s))
	}
	d, ok := scan(s)
	if !ok {
		d, _ = scan(strconv.FormatFloat(f, 'e', -1, 64))
	}
	if d.mantissa == 0 {
		return Decimal{}, nil
	}
	for d.mantissa%10 == 0 {
		d.mantissa /= 10
		d.exponent++
	}
	if d.exponent < -maxExponent || d.exponent > maxExponent {
		return Decimal{}, fmt.Errorf("%s is not a number within float64's range", short(s))
	}
	return d, nil
}

// scan reads digits, a point and an exponent of a number that ParseFloat has
// accepted; it reports whether there are at most 18 significant digits.
func scan(s string) (Decimal, bool) {
	var d Decimal
	digits, point, negative := 0, false, false
	for i, c := range s {
		switch {
		case c == '-':
			negative = true
		case c == '+':
		case c == '.':
			point = true
		case c == 'e' || c == 'E':
			e, err := strconv.Atoi(s[i+1:])
			if err != nil || e < -1000 || e > 1000 {
				return d, d.mantissa == 0
			}
			d.exponent += e
			if negative {
				d.mantissa = -d.mantissa
			}
			return d, true
		default:
			if digits > 0 || c != '0' {
				digits++
			}
			if digits > 18 {
				return d, false
			}
			d.mantissa = d.mantissa*10 + int64(c-'0')
			if point {
				d.exponent--
			}
			if d.exponent < -1000 {
				return d, false
			}
		}
	}
	if negative {
		d.mantissa = -d.mantissa
	}
	return d, true
}

// Float64 returns the nearest float64.
func (d Decimal) Float64() float64 {
	f, _ := strconv.ParseFloat(fmt.Sprintf("%de%d", d.mantissa, d.exponent), 64)
	return f
}

// at returns the value as an integer times 10^exponent; exponent must not be
// above the number's own.
func (d Decimal) at(exponent int) *big.Int {
	x := power10(d.exponent - exponent)
	return x.Mul(x, big.NewInt(d.mantissa))
}

func power10(n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}
