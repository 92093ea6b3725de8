package exact

import (
	"fmt"
	"math/big"
	"testing"
)

func TestTorusDensityTables(t *testing.T) {
	for _, l := range []int{4, 6} {
		var table struct {
			Joint [][3]any `json:"joint_E_M_count"`
		}
		truth(t, fmt.Sprintf("density_%dx%d", l, l), &table)
		d, err := TorusDensity(l)
		if err != nil {
			t.Fatal(err)
		}
		want := map[[2]int]*big.Int{}
		for _, row := range table.Joint {
			e, m := int(row[0].(float64)), int(row[1].(float64))
			key := [2]int{(l*l - max(m, -m)) / 2, (e + 2*l*l) / 4}
			if want[key] == nil {
				want[key] = new(big.Int)
			}
			n, _ := new(big.Int).SetString(row[2].(string), 10)
			want[key].Add(want[key], n)
		}
		for j := 0; j <= l*l/2; j++ {
			for k := 0; k <= l*l; k++ {
				w := want[[2]int{j, k}]
				if w == nil {
					w = new(big.Int)
				}
				if d.Count(j, k).Cmp(w) != 0 {
					t.Errorf("L %d, |V| = %d, E = %d: %v states, want %v", l, l*l-2*j, 4*k-2*l*l, d.Count(j, k), w)
				}
			}
		}
	}
}

func TestTorusDensityAgainstEnumeration(t *testing.T) {
	for _, l := range []int{2, 3} {
		count := map[[2]int]int64{}
		for s := range 1 << (l * l) {
			spin := func(x, y int) int { return s >> (x%l*l + y%l) & 1 }
			up, unlike := 0, 0
			for x := range l {
				for y := range l {
					up += spin(x, y)
					unlike += spin(x, y) ^ spin(x+1, y)
					unlike += spin(x, y) ^ spin(x, y+1)
				}
			}
			count[[2]int{min(up, l*l-up), unlike / 2}]++
		}
		d, err := TorusDensity(l)
		if err != nil {
			t.Fatal(err)
		}
		for j := 0; j <= l*l/2; j++ {
			for k := 0; k <= l*l; k++ {
				if d.Count(j, k).Int64() != count[[2]int{j, k}] {
					t.Errorf("L %d, j %d, k %d: %v states, want %d", l, j, k, d.Count(j, k), count[[2]int{j, k}])
				}
			}
		}
	}
}

// Each |V| has a binomial number of states, and so every count is exact.
func TestTorusDensityTotals(t *testing.T) {
	for l := 2; l <= MaxDensityTorus; l++ {
		d, err := TorusDensity(l)
		if err != nil {
			t.Fatal(err)
		}
		for j, row := range d.count {
			sum := new(big.Int)
			for _, n := range row {
				if n != nil {
					sum.Add(sum, n)
				}
			}
			want := new(big.Int).Binomial(int64(l*l), int64(j))
			if 2*j != l*l {
				want.Lsh(want, 1)
			}
			if sum.Cmp(want) != 0 {
				t.Errorf("L %d, |V| = %d: %v states, want %v", l, l*l-2*j, sum, want)
			}
		}
	}
	for _, l := range []int{-1, 0, 1, MaxDensityTorus + 1} {
		if _, err := TorusDensity(l); err == nil {
			t.Errorf("side %d is not an error", l)
		}
	}
}

func BenchmarkTorusDensity8(b *testing.B) {
	for b.Loop() {
		countTorus(8)
	}
}
