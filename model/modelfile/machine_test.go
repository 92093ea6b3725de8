package modelfile

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kadanoff/model/boltzmann"
	"kadanoff/model/hopfield"
	"kadanoff/model/safetensors"
)

// A Boltzmann machine comes back as it was, and from other units with the same
// probabilities.
func TestMachineRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "machine.safetensors")
	rng := rand.New(rand.NewPCG(1, 2))
	m := boltzmann.New(6, 4)
	for i := range m.N {
		m.H[i] = float32(rng.NormFloat64())
		for j := range i {
			m.Couple(i, j, float32(rng.NormFloat64()))
		}
	}
	want, logZ, err := m.Distribution(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range []Units{Spin, Binary} {
		n, to, err := FromMachine(m, u)
		if err != nil {
			t.Fatal(err)
		}
		if err := Save(path, &Model{Network: n}); err != nil {
			t.Fatal(err)
		}
		file, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		back, from, err := file.Network.Machine()
		if err != nil {
			t.Fatal(err)
		}
		if u == Spin && !reflect.DeepEqual(m, back) {
			t.Errorf("came back as %+v, want %+v", back, m)
		}
		p, logZBack, err := back.Distribution(1)
		if err != nil || back.Visible != m.Visible {
			t.Fatalf("%d visible units, %v", back.Visible, err)
		}
		for s := range want {
			if math.Abs(p[s]-want[s]) > 1e-5*want[s] {
				t.Errorf("units %s: state %d has probability %v, want %v", u, s, p[s], want[s])
			}
		}
		if got := logZBack + to.Constant + from.Constant; math.Abs(got-logZ) > 1e-5 {
			t.Errorf("units %s: ln Z %v, want %v", u, got, logZ)
		}
	}
}

// Hidden units may lie between the visible ones of a file, and couplings in a
// list.
func TestMachineOrdersUnits(t *testing.T) {
	n := &Network{
		Units: Spin, N: 4, H: []float32{10, 11, 12, 13}, Visible: []int32{1, 3},
		Row: []int32{0, 1}, Col: []int32{3, 2}, Value: []float32{5, 7},
	}
	m, _, err := n.Machine()
	if err != nil {
		t.Fatal(err)
	}
	want := boltzmann.New(4, 2)
	copy(want.H, []float32{11, 13, 10, 12})
	want.Couple(1, 2, 5)
	want.Couple(0, 3, 7)
	if !reflect.DeepEqual(m, want) {
		t.Errorf("machine %+v, want %+v", m, want)
	}
}

// Hebb's couplings are whole multiples of 1/N. They come back as such, so that
// fields that were 0 are 0 again; N is one for which 1/N is no float32.
func TestHopfieldKeepsTies(t *testing.T) {
	path := filepath.Join(t.TempDir(), "memory.safetensors")
	p := hopfield.Random(rand.New(rand.NewPCG(1, 1)), 77, 8)
	n, err := hopfield.Hebb(p, 1./77)
	if err != nil {
		t.Fatal(err)
	}
	m, err := FromHopfield(n)
	if err != nil {
		t.Fatal(err)
	}
	if err := Save(path, &Model{Network: m}); err != nil {
		t.Fatal(err)
	}
	file, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	back, _, err := file.Network.Hopfield()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(n, back) {
		t.Errorf("came back with scale %v, want the integers of %v", back.Scale, n.Scale)
	}
	ties := 0
	states := hopfield.Random(rand.New(rand.NewPCG(2, 2)), 77, 100)
	for k := range states.Count() {
		x := states.Row(k)
		for i := range x {
			if n.Activation(x, i) == 0 {
				ties++
			}
		}
	}
	if ties == 0 {
		t.Error("no field of 0 among 100 states: the test says nothing")
	}
}

// Couplings that are no multiples keep float32's precision, and biases come
// along.
func TestHopfieldRealCouplings(t *testing.T) {
	m := &Network{Units: Spin, N: 3, J: []float32{0, 0.3, -2, 0.3, 0, 1e-3, -2, 1e-3, 0}, H: []float32{0.25, 0, -1}, Visible: []int32{0, 1, 2}}
	n, _, err := m.Hopfield()
	if err != nil {
		t.Fatal(err)
	}
	back, err := FromHopfield(n)
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range m.J {
		if math.Abs(float64(back.J[i]-x)) > 3e-9+1e-7*math.Abs(float64(x)) {
			t.Errorf("J[%d] is %v, want %v", i, back.J[i], x)
		}
	}
	if !slices.Equal(back.H, m.H) {
		t.Errorf("h is %v, want %v", back.H, m.H)
	}
}

// A short file may name many units: no matrix is made for it.
func TestDenseIsBounded(t *testing.T) {
	n := MaxDense + 1
	file := tensorFile(t, safetensors.Of("h", make([]float32, n), n), safetensors.Of("row", []int32{0}, 1),
		safetensors.Of("col", []int32{int32(n - 1)}, 1), safetensors.Of("value", []float32{1}, 1))
	m, err := decode(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.Network.Machine(); err == nil || !strings.Contains(err.Error(), "at most 8192") {
		t.Errorf("machine: %v", err)
	}
	if _, _, err := m.Network.Hopfield(); err == nil || !strings.Contains(err.Error(), "at most 8192") {
		t.Errorf("hopfield: %v", err)
	}
}
