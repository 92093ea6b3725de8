package thermometer

import (
	"context"
	"math/rand/v2"
	"testing"
)

// The published shape, 100-512-256-64 and a softmax over 25 temperatures, in
// batches of 100 (arXiv 1801.07172). Goal: 11 ms a batch on two cores, so that
// 215 epochs of 25,000 configurations take ten minutes.
func BenchmarkBatch(b *testing.B) {
	temperatures := make([]float64, 25)
	for i := range temperatures {
		temperatures[i] = float64(i) / 4
	}
	th, err := New(100, []int{512, 256, 64}, temperatures, false, 1)
	if err != nil {
		b.Fatal(err)
	}
	const batches = 10
	s := random(rand.New(rand.NewPCG(1, 1)), 100*batches, 100, 25)
	for b.Loop() {
		if err := th.Train(context.Background(), s, Training{Rate: 0.1, Batch: 100, Epochs: 1}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/batches*1e3, "ms/batch")
}
