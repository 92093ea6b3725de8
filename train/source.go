package train

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"

	"kadanoff/model/data"
	"kadanoff/spin"
	"kadanoff/spin/philox"
)

// Source gives the configurations that a run trains on.
type Source interface {
	// Rows returns the number of configurations, Width their units and Stride
	// the words of a packed one.
	Rows() int
	Width() int
	Stride() int
	// Fill packs configuration i, as it is in an epoch, into dst: unit u is
	// bit u%64 of word u/64, 1 for +1.
	Fill(dst []uint64, i int, epoch uint64) error
}

// Fixed is a Source of configurations that stay the same.
type Fixed struct{ *data.Set }

// Fill implements Source.
func (f Fixed) Fill(dst []uint64, i int, _ uint64) error { return f.Read(i, dst) }

// Drawn is a Source that draws configurations from probabilities anew in each
// epoch: stream philox.Data, chain i, sweep 2⁶³ + epoch, away from the sweeps
// of training.
type Drawn struct {
	*data.Probabilities
	Key philox.Key
}

// Fill implements Source.
func (d Drawn) Fill(dst []uint64, i int, epoch uint64) error {
	var block [4]uint32
	var low [4]uint32
	return d.Binarize(i, dst, func(u int) uint32 {
		if u%8 == 0 {
			c := philox.Counter(philox.Data, uint32(i), uint32(u>>3), 1<<63|epoch)
			block = philox.Block(c, d.Key)
			c[1] |= philox.LowBits << 24
			low = philox.Block(c, d.Key)
		}
		shift := uint(u & 1 * 16)
		return block[u>>1&3]>>shift<<16 | low[u>>1&3]>>shift&0xffff
	})
}

// permutation fills dst with the order of an epoch: a Fisher–Yates shuffle whose
// exchange of place i takes the draw of stream philox.Shuffle, chain i, unit 0,
// sweep epoch.
func permutation(dst []uint32, key philox.Key, epoch uint64) {
	for i := range dst {
		dst[i] = uint32(i)
	}
	for i := len(dst) - 1; i > 0; i-- {
		u := philox.Draw(key, philox.Shuffle, uint32(i), 0, epoch)
		j, _ := bits.Mul64(uint64(u)<<32, uint64(i)+1)
		dst[i], dst[j] = dst[j], dst[i]
	}
}

// pack turns packed configurations, [n][stride], into a batch.
func pack(dst *spin.Batch, rows []uint64, stride int) {
	var block [64]uint64
	for w := range dst.Words {
		n := min(64, dst.Chains-64*w)
		for b := range stride {
			clear(block[n:])
			for c := range n {
				block[c] = rows[(64*w+c)*stride+b]
			}
			transpose(&block)
			for i := range min(64, dst.Units-64*b) {
				dst.Bits[(64*b+i)*dst.Words+w] = block[i]
			}
		}
	}
}

// transpose transposes a 64×64 bit matrix (Warren, Hacker's Delight, 7-3).
func transpose(a *[64]uint64) {
	m := uint64(0x00000000ffffffff)
	for j := 32; j != 0; j >>= 1 {
		for k := 0; k < 64; k = (k + j + 1) &^ j {
			t := (a[k]>>j ^ a[k+j]) & m
			a[k] ^= t << j
			a[k+j] ^= t
		}
		m ^= m << (j >> 1)
	}
}

// Load reads rows [from, to) of a source, as they are in an epoch, as a batch.
func Load(s Source, from, to int, epoch uint64) (*spin.Batch, error) {
	stride := s.Stride()
	rows := make([]uint64, (to-from)*stride)
	for i := from; i < to; i++ {
		if err := s.Fill(rows[(i-from)*stride:][:stride], i, epoch); err != nil {
			return nil, err
		}
	}
	b := spin.NewBatch(s.Width(), to-from)
	pack(b, rows, stride)
	return b, nil
}

// Sample reads n configurations at equal distances, as they are in epoch 0, or
// all if there are no more.
func Sample(s Source, n int) (*spin.Batch, error) {
	n = min(n, s.Rows())
	stride := s.Stride()
	rows := make([]uint64, n*stride)
	for c := range n {
		if err := s.Fill(rows[c*stride:][:stride], int(int64(c)*int64(s.Rows())/int64(n)), 0); err != nil {
			return nil, err
		}
	}
	b := spin.NewBatch(s.Width(), n)
	pack(b, rows, stride)
	return b, nil
}

// digest identifies the data: the SHA-256 of their shape and of what each
// configuration is in epoch 0.
func digest(s Source) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d\n", s.Rows(), s.Width())
	row := make([]uint64, s.Stride())
	raw := make([]byte, 8*len(row))
	for i := range s.Rows() {
		if err := s.Fill(row, i, 0); err != nil {
			return "", err
		}
		for k, w := range row {
			binary.LittleEndian.PutUint64(raw[8*k:], w)
		}
		h.Write(raw)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// cancellable is a source that cannot be read any more when its context has
// ended.
type cancellable struct {
	Source
	ctx context.Context
}

// Fill is that of the source.
func (c cancellable) Fill(dst []uint64, i int, epoch uint64) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	return c.Source.Fill(dst, i, epoch)
}

// Sums returns Σ v_i over all configurations, as they are in epoch 0.
func Sums(s Source) ([]int64, error) {
	total := make([]int64, s.Width())
	for at := 0; at < s.Rows(); at += 4096 {
		b, err := Load(s, at, min(s.Rows(), at+4096), 0)
		if err != nil {
			return nil, err
		}
		for i := range total {
			up := 0
			for _, w := range b.Row(i) {
				up += bits.OnesCount64(w)
			}
			total[i] += int64(2*up - b.Chains)
		}
	}
	return total, nil
}
