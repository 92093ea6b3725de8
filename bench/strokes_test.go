package bench

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/bits"
	"os"
	"slices"
	"testing"

	"kadanoff/model/data"
	"kadanoff/train"
)

// pixels are statistics of black-and-white images in batches of 100: what
// decides how long a training step takes.
type pixels struct {
	up       float64 // share of the pixels that are up
	pairs    float64 // of pairs of neighbours of which any is up
	constant float64 // of the pixels that are down in all images of a batch
}

func pixelsOf(t *testing.T, s train.Source, rows int) (p pixels) {
	t.Helper()
	any := make([]uint64, s.Stride())
	row := make([]uint64, s.Stride())
	for i := range rows {
		clear(row)
		if err := s.Fill(row, i, 0); err != nil {
			t.Fatal(err)
		}
		for w, x := range row {
			any[w] |= x
			p.up += float64(bits.OnesCount64(x))
			p.pairs += float64(bits.OnesCount64((x | x>>1) & 0x5555555555555555))
		}
		if i%100 == 99 {
			p.constant += float64(s.Width())
			for w, x := range any {
				p.constant -= float64(bits.OnesCount64(x))
				any[w] = 0
			}
		}
	}
	n := float64(rows * s.Width())
	return pixels{p.up / n, 2 * p.pairs / n, 100 * p.constant / n}
}

// Synthetic handwriting has the statistics of MNIST's pixels above 127, a tenth
// of itself at most away from them; the training images give these in
// KADANOFF_MNIST.
func TestStrokes(t *testing.T) {
	want := pixels{up: 0.13298, pairs: 0.16627, constant: 0.40040}
	if path := os.Getenv("KADANOFF_MNIST"); path != "" {
		threshold := 127.0
		set, err := data.Load(path, data.Options{Threshold: &threshold})
		if err != nil {
			t.Fatal(err)
		}
		defer set.Close()
		if got := pixelsOf(t, train.Fixed{Set: set}, 6000); math.Abs(got.up-want.up)+math.Abs(got.pairs-want.pairs)+math.Abs(got.constant-want.constant) > 1e-3 {
			t.Errorf("MNIST has %+v, not %+v", got, want)
		}
	}
	got := pixelsOf(t, strokes(6000), 6000)
	t.Logf("%+v", got)
	near := func(what string, got, want float64) {
		if math.Abs(got-want) > 0.1*want {
			t.Errorf("%s: %.4f, MNIST has %.4f", what, got, want)
		}
	}
	near("pixels that are up", got.up, want.up)
	near("pairs of pixels", got.pairs, want.pairs)
	near("pixels down in all of a batch", got.constant, want.constant)
}

// Rows are the same on every machine, in any order, and rows beyond the last are
// refused.
func TestStrokesRows(t *testing.T) {
	const n = 200
	s := strokes(n)
	digest := func(order func(int) int) string {
		rows := make([][]byte, n)
		for k := range n {
			i := order(k)
			row := make([]uint64, s.Stride())
			row[0] = ^uint64(0) // what was there does not matter
			if err := s.Fill(row, i, uint64(k)); err != nil {
				t.Fatal(err)
			}
			for _, x := range row {
				rows[i] = binary.LittleEndian.AppendUint64(rows[i], x)
			}
		}
		sum := sha256.Sum256(slices.Concat(rows...))
		return hex.EncodeToString(sum[:8])
	}
	const want = "740da34c35581301"
	for name, order := range map[string]func(int) int{"forward": func(k int) int { return k }, "backward": func(k int) int { return n - 1 - k }} {
		if got := digest(order); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	for _, i := range []int{-1, n} {
		if err := s.Fill(make([]uint64, s.Stride()), i, 0); err == nil {
			t.Errorf("row %d of %d", i, n)
		}
	}
}
