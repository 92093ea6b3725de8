package spin

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// Limits of fixed point: a layer that would need fewer than MinFrac fraction
// bits is refused, none gets more than MaxFrac.
const (
	MinFrac = 11
	MaxFrac = 23
)

// Block holds the couplings between the units of layers A and B, float32 in
// models and int32 with the network's fraction bits in jobs.
//
// A dense block has W of shape [units of A][units of B]. A sparse one has the
// rows of A in CSR form: the couplings of its unit i are W[k] with unit Col[k]
// of B, RowPtr[i] ≤ k < RowPtr[i+1]. A block with A = B couples units inside a
// layer; it is symmetric, both triangles are present and the diagonal is zero
// (dense) or absent (sparse).
type Block[T int32 | float32] struct {
	A, B   int
	W      []T
	RowPtr []int
	Col    []int32
}

// Sparse reports whether the block is in CSR form.
func (b *Block[T]) Sparse() bool { return b.RowPtr != nil }

// Each calls f for every stored coupling between unit i of layer A and unit j
// of layer B; nb is the number of units of B. A block inside a layer reports
// each pair twice, as it is stored.
func (b *Block[T]) Each(nb int, f func(i, j int, w T)) {
	if !b.Sparse() {
		for k, w := range b.W {
			f(k/nb, k%nb, w)
		}
		return
	}
	for i := range len(b.RowPtr) - 1 {
		for k := b.RowPtr[i]; k < b.RowPtr[i+1]; k++ {
			f(i, int(b.Col[k]), b.W[k])
		}
	}
}

// Net is a network of ±1 units in layers, visible first, with energy
//
//	E = −Σ_blocks Σ_ij W_ij s_i s_j − Σ_i Bias_i s_i
//
// where a block inside a layer counts each pair once. Units are numbered
// through all layers in order.
type Net[T int32 | float32] struct {
	Layers []int // number of units of each layer
	Bias   []T   // one for each unit of the network
	Blocks []Block[T]
}

// Units returns the number of units of all layers.
func (n *Net[T]) Units() int {
	s := 0
	for _, l := range n.Layers {
		s += l
	}
	return s
}

// First returns the number of the first unit of a layer.
func (n *Net[T]) First(layer int) int {
	s := 0
	for _, l := range n.Layers[:layer] {
		s += l
	}
	return s
}

// Stored returns the number of couplings that block k stores.
func (n *Net[T]) Stored(k int) int {
	b := &n.Blocks[k]
	if b.Sparse() {
		return len(b.Col)
	}
	return n.Layers[b.A] * n.Layers[b.B]
}

// StreamUnits returns the number under which each layer's first unit draws its
// random numbers: layers are numbered one after the other, each starting at a
// multiple of eight.
func (n *Net[T]) StreamUnits() []uint32 {
	s, at := make([]uint32, len(n.Layers)), 0
	for l, size := range n.Layers {
		s[l] = uint32(at)
		at += (size + 7) &^ 7
	}
	return s
}

// Check reports a network whose shapes do not fit together: an empty layer, a
// wrong length, an index out of range, a self-coupling, or a block inside a
// layer that is not symmetric.
func (n *Net[T]) Check() error { return n.CheckContext(context.Background()) }

// CheckContext is Check that returns the context's error soon after ctx ends.
func (n *Net[T]) CheckContext(ctx context.Context) error {
	if len(n.Layers) == 0 {
		return errors.New("network has no layers")
	}
	at := 0
	for l, size := range n.Layers {
		if size < 1 {
			return fmt.Errorf("layer %d has %d units, want at least 1", l, size)
		}
		at += (size + 7) &^ 7
		if at > 1<<27 || at < 0 {
			return fmt.Errorf("network has more than %d units", 1<<27)
		}
	}
	if len(n.Bias) != n.Units() {
		return fmt.Errorf("network of %d units has %d biases", n.Units(), len(n.Bias))
	}
	l := looks{ctx: ctx}
	for k := range n.Blocks {
		if err := n.checkBlock(&l, &n.Blocks[k]); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("block %d: %w", k, err)
		}
	}
	return nil
}

func (n *Net[T]) checkBlock(l *looks, b *Block[T]) error {
	if b.A < 0 || b.B < 0 || b.A >= len(n.Layers) || b.B >= len(n.Layers) {
		return fmt.Errorf("couples layers %d and %d of %d", b.A, b.B, len(n.Layers))
	}
	na, nb := n.Layers[b.A], n.Layers[b.B]
	if !b.Sparse() {
		if len(b.W) != na*nb {
			return fmt.Errorf("has %d weights, want %d×%d", len(b.W), na, nb)
		}
		if b.A == b.B {
			for i := range na {
				if err := l.look(i); err != nil {
					return err
				}
				if b.W[i*nb+i] != 0 {
					return fmt.Errorf("unit %d is coupled to itself", i)
				}
				for j := range i {
					if b.W[i*nb+j] != b.W[j*nb+i] {
						return fmt.Errorf("coupling of units %d and %d is %v one way and %v the other", j, i, b.W[j*nb+i], b.W[i*nb+j])
					}
				}
			}
		}
		return nil
	}
	if len(b.RowPtr) != na+1 || b.RowPtr[0] != 0 || b.RowPtr[na] != len(b.W) || len(b.Col) != len(b.W) {
		return fmt.Errorf("sparse rows do not fit %d units, %d columns and %d weights", na, len(b.Col), len(b.W))
	}
	for i := range na {
		if b.RowPtr[i+1] < b.RowPtr[i] {
			return fmt.Errorf("sparse row %d ends before it starts", i)
		}
		if err := l.look(b.RowPtr[i+1] - b.RowPtr[i]); err != nil {
			return err
		}
		for k := b.RowPtr[i]; k < b.RowPtr[i+1]; k++ {
			j := int(b.Col[k])
			if j < 0 || j >= nb {
				return fmt.Errorf("row %d names unit %d of %d", i, j, nb)
			}
			if k > b.RowPtr[i] && b.Col[k] <= b.Col[k-1] {
				return fmt.Errorf("row %d is not sorted at unit %d or names it twice", i, j)
			}
		}
	}
	if b.A == b.B {
		for i := range na {
			if err := l.look(b.RowPtr[i+1] - b.RowPtr[i]); err != nil {
				return err
			}
			for k := b.RowPtr[i]; k < b.RowPtr[i+1]; k++ {
				j := int(b.Col[k])
				if j == i {
					return fmt.Errorf("unit %d is coupled to itself", i)
				}
				if w, ok := b.at(j, int32(i)); !ok || w != b.W[k] {
					return fmt.Errorf("coupling of units %d and %d differs between its two directions", i, j)
				}
			}
		}
	}
	return nil
}

// at returns the stored coupling of row i and column j of a sparse block.
func (b *Block[T]) at(i int, j int32) (T, bool) {
	lo, hi := b.RowPtr[i], b.RowPtr[i+1]
	for lo < hi {
		m := (lo + hi) / 2
		if b.Col[m] < j {
			lo = m + 1
		} else {
			hi = m
		}
	}
	if lo < b.RowPtr[i+1] && b.Col[lo] == j {
		return b.W[lo], true
	}
	return 0, false
}

// eachCoupling calls f for every pair of units that are coupled, under their
// numbers in the network, once for each direction.
func (n *Net[T]) eachCoupling(ctx context.Context, f func(from, to int, w T)) error {
	return n.eachRow(ctx, func(k, unit, start int, w []T, col []int32) {
		b := &n.Blocks[k]
		fb := n.First(b.B)
		for j, x := range w {
			other := fb + start + j
			if col != nil {
				other = fb + int(col[j])
			}
			f(other, unit, x)
			if b.A != b.B {
				f(unit, other, x)
			}
		}
	})
}

// Network is a network in fixed point: every weight and bias is an integer
// with Frac fraction bits, and |bias| + Σ|W| < 2³¹ for each unit, so that no
// field can overflow.
type Network struct {
	Net[int32]
	Frac          uint    // fraction bits of weights, biases and fields
	RoundingError float64 // largest |fixed − float| of a weight or bias
	FieldError    float64 // largest change of a field that rounding can cause
}

// RBM returns a network of two layers, visible and hidden, with dense
// couplings w of shape [visible][hidden] and biases b and c. Nothing is copied.
func RBM(visible, hidden int, w, b, c []float32) *Net[float32] {
	bias := make([]float32, 0, len(b)+len(c))
	return &Net[float32]{
		Layers: []int{visible, hidden},
		Bias:   append(append(bias, b...), c...),
		Blocks: []Block[float32]{{A: 0, B: 1, W: w}},
	}
}

// Quantize rounds a network to fixed point, to nearest even, with the most
// fraction bits up to MaxFrac for which no field can overflow. It is an error
// if a weight is NaN or infinite, or if a unit's |bias| + Σ|W| leaves fewer
// than MinFrac fraction bits.
func Quantize(n *Net[float32]) (*Network, error) {
	return QuantizeContext(context.Background(), n)
}

// QuantizeContext is Quantize that returns the context's error soon after ctx
// ends.
func QuantizeContext(ctx context.Context, n *Net[float32]) (*Network, error) {
	if err := n.CheckContext(ctx); err != nil {
		return nil, err
	}
	sum := make([]float64, len(n.Bias))
	terms := make([]int, len(n.Bias))
	for u, b := range n.Bias {
		sum[u], terms[u] = math.Abs(float64(b)), 1
	}
	err := n.eachRow(ctx, func(k, unit, start int, w []float32, col []int32) {
		b := &n.Blocks[k]
		fb, across := n.First(b.B), b.A != b.B
		s := sum[unit]
		terms[unit] += len(w)
		if col == nil {
			to, count := sum[fb+start:][:len(w)], terms[fb+start:][:len(w)]
			for j, x := range w {
				m := math.Abs(float64(x))
				s += m
				if across {
					to[j] += m
					count[j]++
				}
			}
		} else {
			for j, x := range w {
				m := math.Abs(float64(x))
				s += m
				if across {
					sum[fb+int(col[j])] += m
					terms[fb+int(col[j])]++
				}
			}
		}
		sum[unit] = s
	})
	if err != nil {
		return nil, err
	}
	// Sums of finite float32 are finite.
	for _, s := range sum {
		if math.IsNaN(s) || math.IsInf(s, 0) {
			if err := n.checkFinite(ctx); err != nil {
				return nil, err
			}
		}
	}
	frac, worst := MaxFrac, 0
	for u, s := range sum {
		// Rounding adds at most half a unit for each term; one more covers
		// the rounding of the sum itself.
		for frac >= MinFrac && math.Ldexp(s, frac)+float64(terms[u])/2+1 >= 1<<31 {
			frac, worst = frac-1, u
		}
	}
	if frac < MinFrac {
		for u, s := range sum {
			if s > sum[worst] {
				worst = u
			}
		}
		l, u := n.locate(worst)
		return nil, fmt.Errorf("layer %d: unit %d has |bias| + Σ|W| = %.6g, want below %d (at least %d fraction bits)",
			l, u, sum[worst], 1<<(31-MinFrac), MinFrac)
	}
	q := &Network{Net: Net[int32]{Layers: append([]int(nil), n.Layers...), Bias: make([]int32, len(n.Bias))}, Frac: uint(frac)}
	for _, b := range n.Blocks {
		q.Blocks = append(q.Blocks, Block[int32]{
			A: b.A, B: b.B, W: make([]int32, len(b.W)),
			RowPtr: append([]int(nil), b.RowPtr...), Col: append([]int32(nil), b.Col...),
		})
	}
	// Powers of two: multiplying by them is exact.
	up, down := math.Ldexp(1, frac), math.Ldexp(1, -frac)
	round := func(x float32) (int32, float64) {
		s := float64(x) * up
		r := math.RoundToEven(s)
		return int32(r), math.Abs(r-s) * down
	}
	field := make([]float64, len(n.Bias))
	for u, b := range n.Bias {
		q.Bias[u], field[u] = round(b)
		q.RoundingError = max(q.RoundingError, field[u])
	}
	at := make([]int, len(n.Blocks)) // couplings of each block done
	err = n.eachRow(ctx, func(k, unit, start int, w []float32, col []int32) {
		b := &n.Blocks[k]
		fb, across := n.First(b.B), b.A != b.B
		dst := q.Blocks[k].W[at[k]:][:len(w)]
		at[k] += len(w)
		f, worst := field[unit], q.RoundingError
		for j, x := range w {
			r, e := round(x)
			dst[j] = r
			f += e
			if e > worst {
				worst = e
			}
			if across {
				if col == nil {
					field[fb+start+j] += e
				} else {
					field[fb+int(col[j])] += e
				}
			}
		}
		field[unit], q.RoundingError = f, worst
	})
	if err != nil {
		return nil, err
	}
	for _, e := range field {
		q.FieldError = max(q.FieldError, e)
	}
	return q, nil
}

// rowPart is the most couplings that eachRow hands out at a time.
const rowPart = 1 << 16

// looks are the looks of a loop over couplings at a context.
type looks struct {
	ctx  context.Context
	left int
}

// look looks at the context if rowPart couplings have gone by since it last did.
func (l *looks) look(couplings int) error {
	if l.left -= couplings; l.left > 0 {
		return nil
	}
	l.left = rowPart
	return l.ctx.Err()
}

// eachRow calls f for the stored couplings of every unit of a block's layer A,
// in order, rowPart at most at a time: with the block, the unit's number in the
// network, the number of the first coupling's unit in layer B for a dense
// block, and for a sparse one the units' numbers. It looks at ctx every rowPart
// couplings or so.
func (n *Net[T]) eachRow(ctx context.Context, f func(block, unit, start int, w []T, col []int32)) error {
	l := looks{ctx: ctx}
	for k := range n.Blocks {
		b := &n.Blocks[k]
		first, nb := n.First(b.A), n.Layers[b.B]
		for i := range n.Layers[b.A] {
			w, col := b.W, b.Col
			if b.Sparse() {
				w, col = w[b.RowPtr[i]:b.RowPtr[i+1]], col[b.RowPtr[i]:b.RowPtr[i+1]:b.RowPtr[i+1]]
			} else {
				w = w[i*nb : (i+1)*nb]
			}
			for start := 0; start < len(w); start += rowPart {
				end := min(len(w), start+rowPart)
				if err := l.look(end - start); err != nil {
					return err
				}
				if b.Sparse() {
					f(k, first+i, start, w[start:end], col[start:end])
				} else {
					f(k, first+i, start, w[start:end], nil)
				}
			}
		}
	}
	return nil
}

func (n *Net[T]) locate(unit int) (layer, index int) {
	for l, size := range n.Layers {
		if unit < size {
			return l, unit
		}
		unit -= size
	}
	panic("spin: unit out of range")
}

func (n *Net[T]) checkFinite(ctx context.Context) error {
	bad := func(x T) bool { return math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) }
	for u, b := range n.Bias {
		if bad(b) {
			l, i := n.locate(u)
			return fmt.Errorf("layer %d: bias of unit %d is %v, want a finite number", l, i, b)
		}
	}
	for k := range n.Blocks {
		var err error
		b := &n.Blocks[k]
		l := looks{ctx: ctx}
		b.Each(n.Layers[b.B], func(i, j int, w T) {
			if err == nil {
				err = l.look(1)
			}
			if err == nil && bad(w) {
				err = fmt.Errorf("weight between unit %d of layer %d and unit %d of layer %d is %v, want a finite number", i, b.A, j, b.B, w)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// CheckRange reports a unit whose field could overflow, or a Frac outside
// MinFrac … MaxFrac; networks from Quantize always pass.
func (q *Network) CheckRange() error { return q.CheckRangeContext(context.Background()) }

// CheckRangeContext is CheckRange that returns the context's error soon after
// ctx ends.
func (q *Network) CheckRangeContext(ctx context.Context) error {
	if q.Frac < MinFrac || q.Frac > MaxFrac {
		return fmt.Errorf("network has %d fraction bits, want %d to %d", q.Frac, MinFrac, MaxFrac)
	}
	sum := make([]int64, len(q.Bias))
	abs := func(w int32) int64 { return max(int64(w), -int64(w)) }
	for u, b := range q.Bias {
		sum[u] = abs(b)
	}
	err := q.eachRow(ctx, func(k, unit, start int, w []int32, col []int32) {
		b := &q.Blocks[k]
		fb := q.First(b.B)
		s := int64(0)
		for j, x := range w {
			s += abs(x)
			if b.A == b.B {
				continue
			}
			if col == nil {
				sum[fb+start+j] += abs(x)
			} else {
				sum[fb+int(col[j])] += abs(x)
			}
		}
		sum[unit] += s
	})
	if err != nil {
		return err
	}
	for u, s := range sum {
		if s >= 1<<31 {
			l, i := q.locate(u)
			return fmt.Errorf("layer %d: unit %d has |bias| + Σ|W| = %d, want below 2³¹", l, i, s)
		}
	}
	return nil
}

// Neighbors returns every unit's couplings in CSR form over the numbers of the
// network: unit u hears unit Col[k] with weight W[k] for Ptr[u] ≤ k < Ptr[u+1],
// sorted by unit; couplings that are zero are left out and repeated ones added.
func (q *Network) Neighbors() (ptr []int, col []int32, w []int32) {
	ptr, col, w, _ = q.NeighborsContext(context.Background())
	return ptr, col, w
}

// NeighborsContext is Neighbors that returns the context's error soon after ctx
// ends.
func (q *Network) NeighborsContext(ctx context.Context) (ptr []int, col []int32, w []int32, err error) {
	n := q.Units()
	ptr = make([]int, n+1)
	err = q.eachCoupling(ctx, func(_, to int, w int32) {
		if w != 0 {
			ptr[to+1]++
		}
	})
	if err != nil {
		return nil, nil, nil, err
	}
	for u := range n {
		ptr[u+1] += ptr[u]
	}
	col, w = make([]int32, ptr[n]), make([]int32, ptr[n])
	next := append([]int(nil), ptr[:n]...)
	err = q.eachCoupling(ctx, func(from, to int, x int32) {
		if x != 0 {
			col[next[to]], w[next[to]] = int32(from), x
			next[to]++
		}
	})
	if err != nil {
		return nil, nil, nil, err
	}
	// Rows come block by block; sort each and add what is named twice.
	out, l := 0, looks{ctx: ctx}
	for u := range n {
		lo, hi := ptr[u], ptr[u+1]
		if err := l.look(hi - lo); err != nil {
			return nil, nil, nil, err
		}
		sortPairs(col[lo:hi], w[lo:hi])
		ptr[u] = out
		for k := lo; k < hi; k++ {
			if out > ptr[u] && col[out-1] == col[k] {
				w[out-1] += w[k]
				continue
			}
			col[out], w[out] = col[k], w[k]
			out++
		}
	}
	ptr[n] = out
	return ptr, col[:out], w[:out], nil
}

// Shape returns a network with the layers and the places of the couplings of
// q, but none of its weights and biases: what must stay known when the weights
// have been packed elsewhere. Only Layers, Frac, and of Blocks A, B, RowPtr and
// Col are set, all copied.
func (q *Network) Shape() *Network {
	s := &Network{Net: Net[int32]{Layers: append([]int(nil), q.Layers...)}, Frac: q.Frac}
	for _, b := range q.Blocks {
		s.Blocks = append(s.Blocks, Block[int32]{
			A: b.A, B: b.B,
			RowPtr: append([]int(nil), b.RowPtr...), Col: append([]int32(nil), b.Col...),
		})
	}
	return s
}
