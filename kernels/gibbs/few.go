package gibbs

import "math/bits"

// Few returns the kernel of the same level for inputs of which few are up, by
// which time goes with the number of those, or nil where there is none. Its
// results are the same; weights belong to one of the two.
func (k *Kernel) Few() *Kernel { return few(k.level) }

// Still returns the kernel of the same level for few chains and weights that
// stay as they are for many half steps, or nil where there is none. Its results
// are the same; its weights take more memory and more time to pack.
func (k *Kernel) Still() *Kernel { return still(k.level) }

// Convert returns weights that the kernel, its Few or its Still has packed, in
// the layout of this one.
func (k *Kernel) Convert(w *Weights) *Weights {
	to, ok := k.path.(rowCopier)
	from, ok2 := w.path.(rowCopier)
	if !ok || !ok2 {
		panic("gibbs: weights belong to another path")
	}
	x := k.NewWeights(w.in, w.out)
	row := make([]int32, w.in)
	for u := range w.out {
		from.row(w, u, row, false)
		to.row(x, u, row, true)
	}
	copy(x.offset, w.offset[:w.out])
	return x
}

// rowCopier is a path that Convert knows: row copies what is in data for unit u
// to or from a slice with an element for each input.
type rowCopier interface {
	row(w *Weights, u int, inputs []int32, set bool)
}

// Chains are the words [Word0, Word1) of rows.
type Chains struct {
	Rows
	Word0, Word1 int
}

// What a half step takes on one core of an AMD EPYC (Zen 4) with AVX-512, in
// cycles. Where other cores differ, a choice by these is not the best, and
// nothing else.
const (
	tableCycles = 4.6 // a table of 32 sums
	lookCycles  = 1.1 // a look-up of 16 chains
	packCycles  = 1.1 // packing a weight in both directions, less what it takes for Few

	convertCycles = 10 // converting a weight

	stillCycles = 1.0 // making a table from the half that is ready, for every 128 chains

	fewPairCycles = 7.0  // the table of a pair of inputs for 16 units
	fewRowCycles  = 1.25 // adding a row
	fewListCycles = 6.0  // beginning and ending the list of a chain
)

// FewGain returns about how many cycles Few saves in a half step from inputs to
// units, all chains of which are summed in one pass; negative where it costs
// time.
func FewGain(units int, chains ...Chains) float64 {
	var groups, pairs, rows, vectors int
	n := chains[0].N
	for i := 0; i < n; i += group {
		any := uint64(0)
		for _, c := range chains {
			for j := i; j < min(n, i+group); j++ {
				for _, x := range c.Row(j)[c.Word0:c.Word1] {
					any |= x
				}
			}
		}
		if any != 0 {
			groups++
		}
	}
	for i := 0; i < n; i += 2 {
		up := 0
		for _, c := range chains {
			a := c.Row(i)[c.Word0:c.Word1]
			b := a
			if i+1 < n {
				b = c.Row(i + 1)[c.Word0:c.Word1]
			}
			for w, x := range a {
				up += bits.OnesCount64(x | b[w])
			}
		}
		if up > 0 {
			pairs++
			rows += up
		}
	}
	for _, c := range chains {
		vectors += 4 * (c.Word1 - c.Word0)
	}
	dense := float64(units) * float64(groups) * (tableCycles + lookCycles*float64(vectors))
	return dense - fewCycles(units, pairs, rows, 16*vectors)
}

// StillGain returns about how many cycles Still saves in a half step of words of
// 64 chains.
func StillGain(in, out, words int) float64 {
	return float64(out) * float64((in+group-1)/group) * (tableCycles - stillCycles*float64((words+1)/2))
}

// group is how many inputs have a table where not few of them are up.
const group = 5

func fewCycles(units, pairs, rows, lists int) float64 {
	return float64((units+15)/16) * (fewPairCycles*float64(pairs) + fewRowCycles*float64(rows) + fewListCycles*float64(lists))
}

// ConvertCycles is about how many cycles Convert takes.
func ConvertCycles(in, out int) float64 { return convertCycles * float64(in) * float64(out) }

// FewPackGain is FewGain of packing in both directions.
func FewPackGain(in, out int) float64 { return packCycles * float64(in) * float64(out) }

// FewMeansGain is FewGain of SpinMeans with v for units and chains.
func FewMeansGain(v Rows, units, w0, w1, chains int) float64 {
	n := checkWords(w0, w1, chains)
	rows := 0
	for i := range v.N {
		for _, x := range v.Row(i)[w0:w1] {
			rows += bits.OnesCount64((x | x>>1) & 0x5555555555555555)
		}
	}
	dense := float64(units) * float64((n+group-1)/group) * (tableCycles + group + lookCycles*float64((v.N+15)/16))
	return dense - fewCycles(units, (n+1)/2, rows, v.N)
}
