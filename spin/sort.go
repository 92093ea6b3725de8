package spin

import "sort"

// pairs sorts columns and carries their weights along.
type pairs struct {
	col, w []int32
}

func (p pairs) Len() int           { return len(p.col) }
func (p pairs) Less(i, j int) bool { return p.col[i] < p.col[j] }
func (p pairs) Swap(i, j int) {
	p.col[i], p.col[j] = p.col[j], p.col[i]
	p.w[i], p.w[j] = p.w[j], p.w[i]
}

func sortPairs(col, w []int32) {
	if p := (pairs{col, w}); !sort.IsSorted(p) {
		sort.Stable(p)
	}
}
