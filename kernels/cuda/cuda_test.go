package cuda

import (
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// digits of a weight by their definition.
func digitsOf(w int32) int {
	rest, n := int64(w), 0
	for rest != 0 {
		rest = (rest - int64(int8(rest))) >> 8
		n++
	}
	return max(n, 2)
}

func TestDigits(t *testing.T) {
	for _, w := range []int32{
		0, 1, -1, 127, 128, -128, -129, 32639, 32640, -32896, -32897, 8355711, 8355712, -8421504, -8421505,
		1 << 20, -1 << 20, 1 << 30, math.MaxInt32 - 0x808080, -math.MaxInt32,
	} {
		// Five digits of the largest weights are four modulo 2³².
		if got, want := Digits([]int32{0, w, 0}), min(digitsOf(w), 4); got != want {
			t.Errorf("%d takes %d digits, want %d", w, got, want)
		}
	}
	if d := Digits([]int32{127, -32897, 5}); d != 3 {
		t.Errorf("the largest of several takes %d digits, want 3", d)
	}
	if d := Digits(nil); d != 2 {
		t.Errorf("no weights take %d digits, want 2", d)
	}
}

func TestWeightWords(t *testing.T) {
	for _, c := range []struct {
		units, steps, digits int
		want                 int64
	}{{1, 1, 2, 512}, {32, 1, 2, 512}, {33, 1, 2, 1024}, {16, 3, 3, 3 * 384}, {17, 3, 4, 2 * 3 * 512}} {
		if got := WeightWords(c.units, c.steps, c.digits); got != c.want {
			t.Errorf("%d units, %d steps, %d digits take %d words, want %d", c.units, c.steps, c.digits, got, c.want)
		}
	}
}

// The embedded PTX has every entry point that the sources define, and is of
// the version that drivers since CUDA 11.0 take.
func TestModules(t *testing.T) {
	kernel := regexp.MustCompile(`(?m)^(?:KERNEL\(\d+, \d+, |HALF_STEP\(|MEANS\(|FIELDS\(|SWEEPS\()(\w+),`)
	entries := Kernels()
	for name, ptx := range Modules() {
		source, err := os.ReadFile(name + ".cu")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(ptx, ".version 7.0\n.target sm_80\n") {
			t.Errorf("%s: not PTX 7.0 for sm_80", name)
		}
		defined := kernel.FindAllStringSubmatch(string(source), -1)
		if len(defined) != len(entries[name]) {
			t.Errorf("%s: %d kernels in the source, %d listed", name, len(defined), len(entries[name]))
		}
		for _, m := range defined {
			if !strings.Contains(ptx, ".visible .entry "+m[1]+"(") {
				t.Errorf("%s: no entry %s", name, m[1])
			}
		}
		for _, e := range entries[name] {
			if !strings.Contains(ptx, ".visible .entry "+e+"(") {
				t.Errorf("%s: no entry %s", name, e)
			}
		}
	}
}

// docs/gpu.md says what each kernel does, and the registers that it takes.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/gpu.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, names := range Kernels() {
		want = append(want, names...)
	}
	slices.Sort(want)
	name := regexp.MustCompile("`([a-z0-9_]+)`")
	for _, heading := range []string{"| kernel | does |", "| kernel | threads |"} {
		_, rest, found := strings.Cut(string(text), "\n"+heading)
		table, _, _ := strings.Cut(rest, "\n\n")
		if !found {
			t.Fatalf("no table %q", heading)
		}
		named := map[string]bool{}
		for _, row := range strings.Split(table, "\n")[2:] {
			cell, last := strings.Split(row, "|")[1], ""
			for _, m := range name.FindAllStringSubmatch(cell, -1) {
				n := m[1]
				if len(n) == 1 { // another number of digits
					n = last[:len(last)-1] + n
				}
				named[n], last = true, n
			}
		}
		if got := slices.Sorted(maps.Keys(named)); !slices.Equal(got, want) {
			t.Errorf("the table %q is of %v, want %v", heading, got, want)
		}
	}
}
