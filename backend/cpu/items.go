package cpu

import (
	"slices"

	"kadanoff/kernels/gibbs"
)

// itemWords is how many words of 64 chains an item has at most: as many share
// the tables of a block of weights, and a call can be stopped between items.
const itemWords = 16

// shareItems cuts units × words into items, whole blocks of units over itemWords
// words where it can, and gives every member about the same work: its items lie
// together, those that meet joined up to gibbs.UnitBlock units, and end at its bound. What is left when items of one size have been
// dealt out evenly is cut up further along its words, unless these are to stay
// together. The first member has other work besides, as much as so many units
// times words.
func shareItems(units, block, words, members int, together bool, besides int) (items []item, bounds []int) {
	kinds := map[int][]item{} // by units and words
	for w := 0; w < words; w += itemWords {
		for u := 0; u < units; u += block {
			it := item{unit0: u, unit1: min(units, u+block), word0: w, word1: min(words, w+itemWords)}
			kinds[it.size()] = append(kinds[it.size()], it)
		}
	}
	parts, loads := make([][]item, members), make([]int, members)
	loads[0] = besides
	sizes := make([]int, 0, len(kinds))
	for size := range kinds {
		sizes = append(sizes, size)
	}
	slices.Sort(sizes)
	slices.Reverse(sizes)
	var rest []item
	for _, size := range sizes {
		same := kinds[size]
		each := len(same) / members
		for m := range parts {
			parts[m] = append(parts[m], same[m*each:(m+1)*each]...)
			loads[m] += each * size
		}
		left := same[each*members:]
		for _, it := range left {
			n := min(it.word1-it.word0, members, (2*members+len(left)-1)/len(left))
			if together {
				n = 1
			}
			for k := range n {
				part, w := it, it.word1-it.word0
				part.word0, part.word1 = it.word0+k*w/n, it.word0+(k+1)*w/n
				rest = append(rest, part)
			}
		}
	}
	for m := range parts {
		// In the order of words, so that their indices are made once.
		slices.SortStableFunc(parts[m], func(a, b item) int { return a.word0 - b.word0 })
	}
	slices.SortStableFunc(rest, func(a, b item) int { return b.size() - a.size() })
	for _, it := range rest {
		m := slices.Index(loads, slices.Min(loads))
		parts[m] = append(parts[m], it)
		loads[m] += it.size()
	}
	for _, p := range parts {
		from := len(items)
		for _, it := range p {
			if k := len(items) - 1; k >= from && items[k].meets(&it) && it.unit1-items[k].unit0 <= gibbs.UnitBlock {
				items[k].unit1 = it.unit1
				continue
			}
			items = append(items, it)
		}
		bounds = append(bounds, len(items))
	}
	return items, bounds
}

// meets reports whether other has the same words and the units that come next.
func (it *item) meets(other *item) bool {
	return it.word0 == other.word0 && it.word1 == other.word1 && it.unit1 == other.unit0
}

// size is the number of units times words.
func (it *item) size() int { return (it.unit1 - it.unit0) * (it.word1 - it.word0) }
