package digits

import (
	"slices"
	"strings"
	"testing"
)

func TestLoad(t *testing.T) {
	s := Load()
	if s.Rows() != 1797 || s.Width() != 64 || !slices.Equal(s.Shape, []int{8, 8}) || s.Ups != 37151 {
		t.Fatalf("%v, shape %v, %d pixels up; want 1797 of 8×8 and 37151", s, s.Shape, s.Ups)
	}
	// The first image of scikit-learn's digits, a zero, above 7.
	want := []string{
		"...##...",
		"..####..",
		"..#..##.",
		"..#..##.",
		"..#..##.",
		"..#..#..",
		"..#.##..",
		"...##...",
	}
	v := make([]int8, 64)
	if err := s.Spins(0, v); err != nil {
		t.Fatal(err)
	}
	for y, row := range want {
		got := ""
		for _, x := range v[8*y:][:8] {
			got += map[int8]string{1: "#", -1: "."}[x]
		}
		if got != row {
			t.Errorf("row %d is %s, want %s", y, got, row)
		}
	}
	if !strings.HasPrefix(s.String(), "digits: 1797 rows of 8×8") {
		t.Errorf("%s", s)
	}
}
