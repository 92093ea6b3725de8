package exact

import (
	"encoding/json"
	"math"
	"math/big"
	"os"
	"testing"

	"kadanoff/exact/bigfloat"
)

// truth reads a table of testdata: values with 20 to 45 digits, each computed
// by at least two independent routes in arbitrary precision.
func truth(t *testing.T, name string, v any) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// decimal parses a decimal number of the tables.
func decimal(t *testing.T, s string) *big.Float {
	t.Helper()
	x, _, err := big.ParseFloat(s, 10, 300, big.ToNearestEven)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func number(t *testing.T, s string) float64 {
	x, _ := decimal(t, s).Float64()
	return x
}

// off returns the relative error of got, the absolute one when want is 0.
func off(got *big.Float, want *big.Float) float64 {
	d := new(big.Float).SetPrec(300).Sub(got, want)
	if want.Sign() != 0 {
		d.Quo(d, want)
	}
	f, _ := d.Float64()
	return math.Abs(f)
}

func offFloat(got float64, want *big.Float) float64 {
	if math.IsNaN(got) {
		return math.Inf(1)
	}
	return off(new(big.Float).SetFloat64(got), want)
}

func precOf(bits uint) bigfloat.Prec { return bigfloat.Prec(bits) }
