package stats_test

import (
	"fmt"
	"math/rand/v2"

	"kadanoff/model/stats"
)

// A series in which each value keeps 0.8 of the one before: its autocorrelation
// time is (1 + 0.8)/(1 − 0.8)/2 = 4.5, and the error of its mean three times that
// of independent values.
func ExampleGamma() {
	chance := rand.New(rand.NewPCG(1, 2))
	x := make([]float64, 20000)
	for i := 1; i < len(x); i++ {
		x[i] = float64(0.8*x[i-1]) + chance.NormFloat64()
	}
	e, err := stats.Gamma(x)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("tau %.1f, effective samples %.0f of %d\n", e.Tau, e.ESS, e.N)
	// Output:
	// tau 4.3, effective samples 2336 of 20000
}
