//go:build (amd64 || arm64) && !noasm

package gibbs

// What the vector paths share.

// vectorScratch is the part of Scratch that only they use.
type vectorScratch struct {
	keys    [22][4]uint64 // keys of philox, repeated four times
	lanes   []byte        // working memory of the random numbers
	random  []uint16      // high halves of the draws of a slab
	rows    []uint16      // the same in rows of chains
	factors []float32     // what takes fields to 13 fraction bits
	ties    []uint64      // what the filter leaves: number of 32 spins below, set of spins above
	table   []byte        // tables of a block of groups
	bytes   []uint8       // spins of eight units, a byte for each chain
	vectors [16]int       // of each word of a chunk: vectors that hold chains
	used    []bool        // groups in which any spin is up
	active  []int32       // their numbers
	few     fewScratch
}

// constant returns what is added to a·M before the shift.
func (m *Mix) constant(u int) int64 {
	c := int64(1 << 23)
	if m.Base != nil {
		c += int64(m.Base[u]) * int64(1<<24-m.M)
	}
	return c
}

// factor returns what takes a field to 13 fraction bits at a chain's β; it is
// zero beyond the last chain.
func (r *Rule) factor(chain int) float32 {
	if chain >= r.Chains {
		return 0
	}
	return float32(float64(r.beta(chain)) / float64(uint64(1)<<(11+r.Frac)))
}
