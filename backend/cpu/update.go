package cpu

import (
	"context"
	"fmt"
	"math"

	"kadanoff/backend"
	"kadanoff/kernels/ascent"
	"kadanoff/kernels/gibbs"
	"kadanoff/spin"
)

// Update changes the model, rounds it to fixed point and packs it.
func (t *trainer) Update(u backend.Update) error {
	if t.broken != nil {
		return t.broken
	}
	if err := u.Check(); err != nil {
		return err
	}
	if !t.gathered {
		return errNoStatistics
	}
	if u.Momentum != 0 && t.velocity == nil {
		t.velocity = make([]float32, t.v*t.h+t.v+t.h)
	}
	t.choose()
	ctx := backend.Ending(u.Context)
	var err error
	if t.spec.Tied {
		err = t.updateTied(ctx, &u)
	} else if err = t.updateAll(ctx, &u); err == nil {
		err = t.round(ctx)
	}
	if err != nil {
		t.broken = err
		if ctx.Err() != nil {
			t.broken = fmt.Errorf("a step was left unfinished: %w", err)
		}
		return err
	}
	t.step++
	return nil
}

// updateAll makes the new masters, and their fixed point at the present scale.
func (t *trainer) updateAll(ctx context.Context, u *backend.Update) error {
	st := &t.ascent
	for e := range st.parts {
		st.parts[e].Store(0)
	}
	s := backend.Statistics{Samples: t.samples, Chains: t.chains}
	means := func(d, offset []float64, data, model []int64, unit float64) {
		fd, fm := unit/float64(s.Samples), unit/float64(s.Chains)
		for i := range d {
			x := float64(float64(data[i]) * fd)
			d[i] = x - float64(float64(model[i])*fm)
			offset[i] = math.FMA(u.OffsetRate, x-offset[i], offset[i])
		}
	}
	means(st.dv, t.mu, t.vData, t.vModel, 1)
	means(st.dh, t.lambda, t.hData, t.hModel, 1.0/(1<<spin.MeanBits))

	row := ascent.Row{
		Factor: s.PairFactor(), Decay: u.WeightDecay, L1: u.L1, Rate: u.WeightRate, Momentum: u.Momentum,
		Scale:   float32(math.Ldexp(1, int(t.frac))),
		Centred: nonZero(t.mu) || nonZero(t.lambda),
		Shrink:  u.WeightDecay != 0 || u.L1 != 0,
	}
	// Rows are packed while they are at hand, at the present scale; round packs
	// them again in the rare case that it changes.
	block := t.kernel.RowBlock()
	err := t.b.each(ctx, len(st.columns), func(member, k int) {
		c := &st.columns[k]
		clear(c.Sum)
		clear(c.Magnitude)
		clear(st.sums[k])
		r := &st.rows[member].Row
		*r = row
		update := func(i int, fixed []int32) {
			from, to := i*t.h, (i+1)*t.h
			r.Mu, r.Dv = t.mu[i], st.dv[i]
			var velocity []float32
			var sums []int32
			var exact []float64
			if t.velocity != nil {
				velocity = t.velocity[from:to]
			}
			if t.joint {
				sums = t.pairRow(i)
			} else {
				exact = t.exact[from:to]
			}
			lanes, size := st.kernel.Update(r, t.w[from:to], velocity, sums, exact, fixed[:t.h], c)
			st.along[i], st.rowWeight[i] = backend.LaneSum(&lanes), size
			t.rest[i] = 0
		}
		// Rows that share a block with those of another item are set aside.
		row0, row1 := k*backend.UpdateRows, min(t.v, (k+1)*backend.UpdateRows)
		whole0, whole1 := (row0+block-1)/block*block, row1/block*block
		if row1 == t.v {
			whole1 = row1
		}
		for i := row0; i < min(whole0, row1); i++ {
			update(i, st.aside[k][(i-(whole0-block))*t.h:])
		}
		fixed := st.fixed[member]
		for i := whole0; i < whole1; i += block {
			end := min(i+block, whole1)
			for j := i; j < end; j++ {
				update(j, fixed[(j-i)*t.h:])
			}
			t.kernel.PackBoth(t.up, t.down, fixed, t.h, i, end, t.rest, st.sums[k])
		}
		for i := whole1; i < row1; i++ {
			update(i, st.aside[k+1][(i-whole1)*t.h:])
		}
		// A block with rows of two items is packed by whoever has done the second.
		for _, e := range [2]int{k, k + 1} {
			first := e * backend.UpdateRows / block * block
			if e > 0 && e < len(st.columns) && first < e*backend.UpdateRows && st.parts[e].Add(1) == 2 {
				t.kernel.PackBoth(t.up, t.down, st.aside[e], t.h, first, min(t.v, first+block), t.rest, st.sums[e])
			}
		}
	})
	if err != nil {
		return err
	}
	n := t.v * t.h
	bias := func(k int, d, along float64) {
		y := float64(u.BiasRate * d)
		if t.velocity != nil {
			y = math.FMA(u.Momentum, float64(t.velocity[n+k]), y)
			t.velocity[n+k] = float32(y)
		}
		t.bias[k] = float32(float64(t.bias[k]) + (y - along))
	}
	// Each member takes some of the columns, and of the biases.
	return t.b.each(ctx, t.b.team.size, func(_, m int) {
		part := func(n int) (from, to int) { return m * n / t.b.team.size, (m + 1) * n / t.b.team.size }
		from, to := part(t.h)
		rest, total, size := t.rest[t.v+from:t.v+to], st.total[from:to], st.columnSize[from:to]
		clear(rest)
		clear(total)
		clear(size)
		for k := range st.columns {
			c := &st.columns[k]
			sum, magnitude, sums := c.Sum[from:to], c.Magnitude[from:to], st.sums[k][from:to]
			for a := range rest {
				rest[a] += sums[a]
				total[a] += sum[a]
				size[a] += float64(magnitude[a])
			}
		}
		for a := from; a < to; a++ {
			bias(t.v+a, st.dh[a], st.total[a])
		}
		from, to = part(t.v)
		for i := from; i < to; i++ {
			bias(i, st.dv[i], st.along[i])
		}
	})
}

func nonZero(x []float64) bool {
	for _, v := range x {
		if v != 0 {
			return true
		}
	}
	return false
}

func (t *trainer) updateTied(ctx context.Context, u *backend.Update) error {
	sum := int64(0)
	for i := range t.v {
		if err := ctx.Err(); err != nil {
			return err
		}
		if t.joint {
			for _, x := range t.pairRow(i) {
				sum += int64(x)
			}
			continue
		}
		for _, x := range t.exact[i*t.h:][:t.h] {
			sum += int64(x)
		}
	}
	if sum >= 1<<53 || sum <= -1<<53 {
		return fmt.Errorf("sum of %d pair statistics is beyond 2⁵³: want a smaller batch", len(t.w))
	}
	s := backend.Statistics{Samples: t.samples, Chains: t.chains}
	g, w := float64(float64(sum)*s.TiedFactor(len(t.w))), float64(t.w[0])
	g = math.FMA(-u.WeightDecay, w, g)
	switch {
	case w > 0:
		g -= u.L1
	case w < 0:
		g += u.L1
	}
	x := float64(u.WeightRate * g)
	for k := range t.w {
		if k%lookWeights == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		step := x
		if t.velocity != nil {
			step = math.FMA(u.Momentum, float64(t.velocity[k]), x)
			t.velocity[k] = float32(step)
		}
		t.w[k] = float32(w + step)
	}
	return t.roundAll(ctx)
}

// round finds the scale of the new weights and makes them ready for use. The sums of
// magnitudes from the update are good to about a float32's precision: where
// that decides the scale, it is what spin.Quantize would choose.
func (t *trainer) round(ctx context.Context) error {
	st := &t.ascent
	low, high := spin.MaxFrac, spin.MaxFrac
	// see lets the largest sum of a layer whose units hear terms others decide.
	see := func(sum float64, terms int) {
		slack := sum * float64(terms+64) / (1 << 23)
		low, high = min(low, fracOf(sum+slack, terms+1)), min(high, fracOf(sum-slack, 0))
	}
	rows, columns := 0.0, 0.0
	for i, x := range st.rowWeight {
		if s := float64(x) + math.Abs(float64(t.bias[i])); s > rows || math.IsNaN(s) {
			rows = s // NaN stays: nothing is above it
		}
	}
	for a, x := range st.columnSize {
		if s := x + math.Abs(float64(t.bias[t.v+a])); s > columns || math.IsNaN(s) {
			columns = s
		}
	}
	see(rows, t.h)
	see(columns, t.v)
	finite := rows <= math.MaxFloat32 && columns <= math.MaxFloat32
	if !finite || low != high || low < spin.MinFrac {
		return t.roundAll(ctx)
	}
	if uint(low) != t.frac {
		t.frac = uint(low)
		fixed, err := t.rounded(ctx)
		if err != nil {
			return err
		}
		return t.pack(ctx, fixed)
	}
	t.roundBias()
	t.kernel.SetBias(t.up, t.offset[t.v:], t.rest[t.v:])
	t.kernel.SetBias(t.down, t.offset[:t.v], t.rest[:t.v])
	return nil
}

// fracOf returns the most fraction bits, up to spin.MaxFrac, that leave room
// for fields up to sum and half a unit of rounding for each of terms.
func fracOf(sum float64, terms int) int {
	frac := spin.MaxFrac
	for frac >= spin.MinFrac && math.Ldexp(sum, frac)+float64(terms)/2+1 >= 1<<31 {
		frac--
	}
	return frac
}

// roundAll rounds by the definition; weights that do not fit have diverged.
func (t *trainer) roundAll(ctx context.Context) error {
	if err := t.reload(ctx); ctx.Err() != nil {
		return err
	} else if err != nil {
		return &backend.DivergedError{Step: t.step, Reason: err}
	}
	return nil
}

// rounded returns the weights in fixed point at the present scale.
func (t *trainer) rounded(ctx context.Context) ([]int32, error) {
	fixed, scale := make([]int32, len(t.w)), math.Ldexp(1, int(t.frac))
	err := t.b.each(ctx, t.v, func(_, i int) {
		for k := i * t.h; k < (i+1)*t.h; k++ {
			fixed[k] = int32(math.RoundToEven(float64(t.w[k]) * scale))
		}
	})
	return fixed, err
}

// reload makes everything that follows from the masters, by the definition.
func (t *trainer) reload(ctx context.Context) error {
	q, err := spin.QuantizeContext(ctx, t.model())
	if err != nil {
		return err
	}
	t.frac = q.Frac
	return t.pack(ctx, q.Blocks[0].W)
}

// roundBias rounds the biases at the present scale.
func (t *trainer) roundBias() {
	scale := math.Ldexp(1, int(t.frac))
	for u, x := range t.bias {
		t.offset[u] = int32(math.RoundToEven(float64(x) * scale))
	}
}

// pack rounds the biases and packs weights in fixed point in both directions.
func (t *trainer) pack(ctx context.Context, fixed []int32) error {
	t.roundBias()
	const size = 2 * gibbs.UnitBlock
	ups, downs := (t.h+size-1)/size, (t.v+size-1)/size
	return t.b.each(ctx, ups+downs, func(_, i int) {
		if i < ups {
			t.kernel.Pack(t.up, t.offset[t.v:], []gibbs.Block{{Src: fixed, Stride: t.h, In: t.v}}, i*size, min(t.h, (i+1)*size))
			return
		}
		i -= ups
		t.kernel.Pack(t.down, t.offset[:t.v], []gibbs.Block{{Src: fixed, Stride: t.h, Transposed: true, In: t.h}}, i*size, min(t.v, (i+1)*size))
	})
}
