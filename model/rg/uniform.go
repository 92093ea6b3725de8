package rg

import (
	"fmt"
	"math"
)

// UniformFlow is the flow of the magnetisation m = V/M through an RBM whose
// weights all equal W (eqs 75–77): h = tanh(MWm), m′ = tanh(NWh).
type UniformFlow struct {
	M, N int
	W    float64 // ±Inf is the limit sign(m), with 0 staying 0
}

// NewUniformFlow checks that both layers have units and W is a number.
func NewUniformFlow(m, n int, w float64) (UniformFlow, error) {
	if m < 1 || n < 1 {
		return UniformFlow{}, fmt.Errorf("uniform RBM of %d visible and %d hidden units: want at least one of each", m, n)
	}
	if math.IsNaN(w) {
		return UniformFlow{}, fmt.Errorf("W = NaN: want a number")
	}
	return UniformFlow{m, n, w}, nil
}

// CriticalW returns 1/√(MN), the |W| above which the flow leaves m = 0.
func CriticalW(m, n int) float64 { return 1 / math.Sqrt(float64(m)*float64(n)) }

// Step returns m′.
func (f UniformFlow) Step(m float64) float64 {
	if m == 0 {
		return 0
	}
	w := math.Abs(f.W)
	return math.Tanh(float64(f.N) * w * math.Tanh(float64(f.M)*w*m))
}

// Flow returns m0 and the magnetisations of the given number of steps.
func (f UniformFlow) Flow(m0 float64, steps int) []float64 {
	flow := make([]float64, 1, steps+1)
	flow[0] = m0
	for range steps {
		m0 = f.Step(m0)
		flow = append(flow, m0)
	}
	return flow
}

// FixedPoint returns the fixed point m* ≥ 0 that positive magnetisations flow
// to, and the multiplier dm′/dm there. It is 0 unless W²MN > 1; the flow from
// m < 0 goes to −m*. Relative error 1e-15/(W²MN − 1) near the critical W.
func (f UniformFlow) FixedPoint() (m, multiplier float64) {
	mw, nw := float64(f.M)*math.Abs(f.W), float64(f.N)*math.Abs(f.W)
	if !(nw*mw > 1) {
		return 0, nw * mw
	}
	if math.IsInf(mw, 1) || math.IsInf(nw, 1) {
		return 1, 0
	}
	// With m = tanh y the root of NW tanh(MW tanh y) − y, concave in y: Newton's
	// steps from the right never pass it.
	slope := func(y float64) float64 {
		return nw * sech2(mw*math.Tanh(y)) * mw * sech2(y)
	}
	y := nw
	for {
		next := y - (float64(nw*math.Tanh(mw*math.Tanh(y)))-y)/(slope(y)-1)
		if !(next < y) || next <= 0 {
			break
		}
		y = next
	}
	return math.Tanh(y), slope(y)
}

// sech2 returns 1/cosh²x.
func sech2(x float64) float64 {
	e := math.Exp(-2 * math.Abs(x))
	return 4 * e / ((1 + e) * (1 + e))
}
