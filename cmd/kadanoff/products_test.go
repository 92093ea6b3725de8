package main

import (
	"context"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
	tensors "gorgonia.org/tensor"

	"kadanoff/kernels/isa"
	"kadanoff/model/thermometer"
)

// Products are those of gonum up to rounding, in every form.
func TestProducts(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	numbers := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		return x
	}
	const m, n, k, ld = 11, 33, 70, 80
	for _, level := range isa.Available() {
		p := newProducts(level)
		for _, tA := range []blas.Transpose{blas.NoTrans, blas.Trans} {
			for _, tB := range []blas.Transpose{blas.NoTrans, blas.Trans} {
				for _, f := range [][2]float32{{1, 0}, {1, 1}, {-0.5, 2}} {
					a, b, got := numbers(ld*ld), numbers(ld*ld), numbers(m*ld)
					want := append([]float32(nil), got...)
					if f[1] == 0 {
						got[0] = float32(math.NaN()) // is not looked at
					}
					p.Sgemm(tA, tB, m, n, k, f[0], a, ld, b, ld, f[1], got, ld)
					gonum.Implementation{}.Sgemm(tA, tB, m, n, k, f[0], a, ld, b, ld, f[1], want, ld)
					for i := range want {
						if !(math.Abs(float64(got[i]-want[i])) < 1e-4) {
							t.Fatalf("%v, %c %c, %v: number %d is %v, want %v", level, tA, tB, f, i, got[i], want[i])
						}
					}
				}
			}
		}
	}
}

// A thermometer is the same network whatever the instruction set.
func TestThermometerSameOnAllPaths(t *testing.T) {
	defer tensors.Use(tensors.WhichBLAS())
	r := rand.New(rand.NewPCG(5, 6))
	set := &thermometer.Set{Inputs: 36}
	for i := range 60 {
		for range set.Inputs {
			set.X = append(set.X, int8(r.IntN(2))*2-1)
		}
		set.Class = append(set.Class, i%3)
	}
	var first *thermometer.Thermometer
	for _, level := range isa.Available() {
		useProducts(level)
		th, err := thermometer.New(set.Inputs, []int{41, 17}, []float64{0, 1, 2}, false, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := th.Train(context.Background(), set, thermometer.Training{Rate: 0.1, Batch: 20, Epochs: 5, Seed: 3}); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = th
		} else if !reflect.DeepEqual(first, th) {
			t.Errorf("%v: another network", level)
		}
	}
}

// BenchmarkThermometer is thermometer.BenchmarkBatch with these products. Goal:
// 11 ms a batch on two cores, so that 215 epochs of 25,000 configurations take
// ten minutes.
func BenchmarkThermometer(b *testing.B) {
	defer tensors.Use(tensors.WhichBLAS())
	useProducts(isa.Best())
	r := rand.New(rand.NewPCG(5, 6))
	const batches = 10
	set := &thermometer.Set{Inputs: 100}
	for range 100 * batches {
		for range set.Inputs {
			set.X = append(set.X, int8(r.IntN(2))*2-1)
		}
		set.Class = append(set.Class, r.IntN(25))
	}
	temperatures := make([]float64, 25)
	for i := range temperatures {
		temperatures[i] = float64(i) / 4
	}
	th, err := thermometer.New(100, []int{512, 256, 64}, temperatures, false, 1)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := th.Train(context.Background(), set, thermometer.Training{Rate: 0.1, Batch: 100, Epochs: 1}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/batches*1e3, "ms/batch")
}
