package cpu

import "testing"

// Items cover every unit and word once, lie at whole blocks, and are shared
// evenly.
func TestShareItems(t *testing.T) {
	for _, c := range []struct {
		units, block, words, members int
		together                     bool
		besides                      int
	}{
		{500, 40, 16, 2, false, 0}, {784, 40, 16, 2, false, 0}, {784, 40, 2, 2, false, 0}, {256, 40, 4, 2, false, 0},
		{64, 40, 64, 2, false, 0}, {1, 40, 1, 7, false, 0}, {4096, 40, 4, 2, false, 0}, {101, 64, 17, 3, false, 0},
		{13, 40, 5, 3, false, 0}, {500, 40, 16, 64, false, 0}, {40, 40, 33, 1, false, 0}, {500, 40, 4, 2, true, 0},
		{500, 40, 4, 2, false, 56}, {500, 40, 2, 2, true, 56}, {784, 40, 2, 3, false, 16}, {13, 40, 2, 2, true, 56},
	} {
		items, bounds := shareItems(c.units, c.block, c.words, c.members, c.together, c.besides)
		seen := make([]int, c.units*c.words)
		loads, from := make([]int, c.members), 0
		loads[0] = c.besides
		if len(bounds) != c.members || bounds[c.members-1] != len(items) {
			t.Fatalf("%+v: %d items, bounds %v", c, len(items), bounds)
		}
		for m, to := range bounds {
			for _, it := range items[from:to] {
				if c.together && it.word1-it.word0 != min(c.words-it.word0, itemWords) {
					t.Errorf("%+v: %+v has not all words", c, it)
				}
				if it.unit0%c.block != 0 || it.unit1%c.block != 0 && it.unit1 != c.units || it.word1-it.word0 > itemWords {
					t.Errorf("%+v: %+v", c, it)
				}
				for u := it.unit0; u < it.unit1; u++ {
					for w := it.word0; w < it.word1; w++ {
						seen[u*c.words+w]++
					}
				}
				loads[m] += it.size()
			}
			from = to
		}
		for i, n := range seen {
			if n != 1 {
				t.Fatalf("%+v: unit %d word %d is in %d items", c, i/c.words, i%c.words, n)
			}
		}
		most := 0
		for _, l := range loads {
			most = max(most, l)
		}
		// No item is smaller than a block of units and a word, or all words.
		least := min(c.units, c.block)
		if c.together {
			least *= min(c.words, itemWords)
		}
		if even := (c.besides + c.units*c.words + c.members - 1) / c.members; most > max(even, c.besides)+least {
			t.Errorf("%+v: loads %v, want %d each", c, loads, even)
		}
	}
}
