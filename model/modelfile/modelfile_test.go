package modelfile

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kadanoff/model/rbm"
	"kadanoff/model/safetensors"
)

func randomRBM(visible, hidden int, u Units) *RBM {
	r := rand.New(rand.NewPCG(uint64(visible), uint64(hidden)))
	fill := func(n int) []float32 {
		list := make([]float32, n)
		for i := range list {
			list[i] = float32(r.NormFloat64())
		}
		return list
	}
	return &RBM{Units: u, Visible: visible, Hidden: hidden, W: fill(visible * hidden), B: fill(visible), C: fill(hidden)}
}

func randomNetwork(n int, u Units, dense bool) *Network {
	r := rand.New(rand.NewPCG(uint64(n), 3))
	m := &Network{Units: u, N: n, H: make([]float32, n), Visible: []int32{0, 2}}
	if dense {
		m.J = make([]float32, n*n)
	} else {
		m.Row, m.Col, m.Value = []int32{}, []int32{}, []float32{}
	}
	for i := range n {
		m.H[i] = float32(r.NormFloat64())
		for j := range i {
			x := float32(r.NormFloat64())
			if dense {
				m.J[i*n+j], m.J[j*n+i] = x, x
			} else if (i+j)%3 != 0 {
				m.Row, m.Col, m.Value = append(m.Row, int32(j)), append(m.Col, int32(i)), append(m.Value, x)
			}
		}
	}
	if !dense {
		m.orderPairs()
	}
	return m
}

// value is unit i of configuration s.
func (u Units) value(s, i int) float64 {
	x := float64(s >> i & 1)
	if u == Spin {
		return 2*x - 1
	}
	return x
}

func (m *RBM) minusEnergy(s int) float64 {
	sum := 0.
	for i := range m.Visible {
		v := m.Units.value(s, i)
		sum += float64(m.B[i]) * v
		for a := range m.Hidden {
			sum += float64(m.W[i*m.Hidden+a]) * v * m.Units.value(s, m.Visible+a)
		}
	}
	for a := range m.Hidden {
		sum += float64(m.C[a]) * m.Units.value(s, m.Visible+a)
	}
	return sum
}

func (m *Network) minusEnergy(s int) float64 {
	sum := 0.
	for i := range m.N {
		sum += float64(m.H[i]) * m.Units.value(s, i)
		for j := range i {
			if m.J != nil {
				sum += float64(m.J[i*m.N+j]) * m.Units.value(s, i) * m.Units.value(s, j)
			}
		}
	}
	for k, x := range m.Value {
		sum += float64(x) * m.Units.value(s, int(m.Row[k])) * m.Units.value(s, int(m.Col[k]))
	}
	return sum
}

// wantSame holds two conventions of one model against each other, state by
// state: energies differ by the constant, and so do the logarithms of Z.
func wantSame(t *testing.T, units int, before, after func(s int) float64, conv Conversion) {
	t.Helper()
	zb, za := 0., 0.
	for s := range 1 << units {
		b, a := before(s), after(s)
		if d := math.Abs(b - a - conv.Constant); d > conv.Rounding+1e-12 {
			t.Errorf("state %d: energies differ by %.17g, the constant is %.17g and rounding %.2g", s, b-a, conv.Constant, conv.Rounding)
			return
		}
		zb += math.Exp(b)
		za += math.Exp(a)
	}
	if d := math.Abs(math.Log(zb) - math.Log(za) - conv.Constant); d > conv.Rounding+1e-12 {
		t.Errorf("ln Z differs by the constant and %.3g, rounding explains %.3g", d, conv.Rounding)
	}
	if conv.Rounding > 1e-5 || conv.Rounding < 0 {
		t.Errorf("rounding of %g", conv.Rounding)
	}
}

func TestConversionByEnumeration(t *testing.T) {
	for from, to := range map[Units]Units{Spin: Binary, Binary: Spin} {
		for _, m := range []*RBM{randomRBM(5, 3, from), randomRBM(2, 7, from), randomRBM(1, 1, from)} {
			out, conv, err := m.Convert(to)
			if err != nil {
				t.Fatal(err)
			}
			if conv.Constant == 0 || out.Units != to {
				t.Errorf("constant %v to units %s", conv.Constant, out.Units)
			}
			wantSame(t, m.Visible+m.Hidden, m.minusEnergy, out.minusEnergy, conv)
		}
		for _, m := range []*Network{randomNetwork(7, from, true), randomNetwork(7, from, false)} {
			out, conv, err := m.Convert(to)
			if err != nil {
				t.Fatal(err)
			}
			wantSame(t, m.N, m.minusEnergy, out.minusEnergy, conv)
		}
	}
}

// Weights that quarter exactly convert without any rounding, and back.
func TestConversionExact(t *testing.T) {
	m := &RBM{Units: Binary, Visible: 2, Hidden: 1, W: []float32{1, -3}, B: []float32{0.5, 2}, C: []float32{-1}}
	s, conv, err := m.Spin()
	if err != nil {
		t.Fatal(err)
	}
	want := &rbm.RBM{Visible: 2, Hidden: 1, W: []float32{.25, -.75}, B: []float32{.5, .25}, C: []float32{-1}}
	if d := cmp.Diff(want, s); d != "" {
		t.Error(d)
	}
	// ΣW/4 + Σb/2 + Σc/2
	if conv != (Conversion{Constant: -0.5 + 1.25 - 0.5}) {
		t.Errorf("conversion %+v", conv)
	}
	back, conv2, err := FromSpin(s, Binary)
	if err != nil || conv2.Constant != -conv.Constant {
		t.Errorf("back: %+v, %v", conv2, err)
	}
	if d := cmp.Diff(m, back); d != "" {
		t.Error(d)
	}
	same, conv3, err := m.Convert(Binary)
	if err != nil || conv3 != (Conversion{}) || !cmp.Equal(m, same) {
		t.Errorf("to the same units: %+v, %+v, %v", same, conv3, err)
	}
	if same.W[0] = 9; m.W[0] == 9 {
		t.Error("the conversion shares the weights")
	}
}

func TestConversionOverflow(t *testing.T) {
	m := &RBM{Units: Spin, Visible: 1, Hidden: 1, W: []float32{2e38}, B: []float32{0}, C: []float32{0}}
	if _, _, err := m.Convert(Binary); err == nil || !strings.Contains(err.Error(), "W[0, 0]") {
		t.Errorf("4 × 2e38 gives %v", err)
	}
}

func encode(t testing.TB, m *Model) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func decode(b []byte) (*Model, error) {
	return Read(bytes.NewReader(b), int64(len(b)), "x.model")
}

func TestRoundTrip(t *testing.T) {
	for _, m := range []*Model{
		{RBM: randomRBM(7, 5, Spin)},
		{RBM: randomRBM(1, 11, Binary)},
		{Network: randomNetwork(5, Spin, true)},
		{Network: randomNetwork(11, Binary, false)},
	} {
		path := filepath.Join(t.TempDir(), "m.safetensors")
		if err := Save(path, m); err != nil {
			t.Fatal(err)
		}
		got, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m, got); d != "" {
			t.Error(d)
		}
		bytes1, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(bytes1, encode(t, got)) {
			t.Error("loading and saving changes the bytes")
		}
	}
}

// The file of a small machine, byte for byte: it must never change.
func TestGoldenBytes(t *testing.T) {
	m := &RBM{Units: Spin, Visible: 2, Hidden: 1, W: []float32{1, -2}, B: []float32{0, .5}, C: []float32{3}}
	header := `{"__metadata__":{"format":"1","units":"spin"},` +
		`"W":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},` +
		`"b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},` +
		`"c":{"dtype":"F32","shape":[1],"data_offsets":[16,20]}}`
	header += strings.Repeat(" ", (8-len(header)%8)%8)
	want := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	want = append(want, header...)
	for _, x := range []float32{1, -2, 0, .5, 3} {
		want = binary.LittleEndian.AppendUint32(want, math.Float32bits(x))
	}
	if got := encode(t, &Model{RBM: m}); !bytes.Equal(got, want) {
		t.Errorf("the file is %q, want %q", got, want)
	}
}

func TestSaveRefuses(t *testing.T) {
	nan := randomRBM(3, 2, Spin)
	nan.C[1] = float32(math.NaN())
	asymmetric := randomNetwork(3, Spin, true)
	asymmetric.J[1]++
	for want, m := range map[string]*Model{
		"c[1] is NaN":  {RBM: nan},
		"symmetric":    {Network: asymmetric},
		"one model":    {},
		"units \"mV\"": {RBM: randomRBM(1, 1, "mV")},
	} {
		dir := t.TempDir()
		err := Save(filepath.Join(dir, "m"), m)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Save = %v, want %q", err, want)
		}
		if list, _ := os.ReadDir(dir); len(list) != 0 {
			t.Errorf("a refused model leaves %v", list)
		}
	}
	if err := Save("m.npz", &Model{RBM: randomRBM(1, 1, Spin)}); err == nil {
		t.Error("a model is written as .npz")
	}
}

// array is an entry of a .npz archive.
type array struct {
	name, descr string
	fortran     bool
	shape       []int
	data        any // a slice of numbers, or a string
}

func npzFile(t testing.TB, arrays ...array) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, a := range arrays {
		w, err := z.Create(a.name + ".npy")
		if err != nil {
			t.Fatal(err)
		}
		tuple := strings.NewReplacer("[", "(", "]", ",)", " ", ", ").Replace(fmt.Sprint(a.shape))
		if len(a.shape) == 0 {
			tuple = "()"
		}
		order := map[bool]string{false: "False", true: "True"}[a.fortran]
		head := fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n", a.descr, order, tuple)
		fmt.Fprintf(w, "\x93NUMPY\x01\x00%s%s", binary.LittleEndian.AppendUint16(nil, uint16(len(head))), head)
		if s, ok := a.data.(string); ok {
			_, err = w.Write([]byte(s))
		} else {
			err = binary.Write(w, binary.LittleEndian, a.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestNpz(t *testing.T) {
	want := &RBM{Visible: 3, Hidden: 2, W: []float32{1, 2, 3, 4, 5, 6}, B: []float32{7, 8, 9}, C: []float32{.5, -.5}}
	b, c := array{"b", "<f4", false, []int{3}, want.B}, array{"c", "<f8", false, []int{2}, []float64{.5, -.5}}
	visible, hidden := b, c
	visible.name, hidden.name = "intercept_visible_", "intercept_hidden_"
	rows, columns := []float32{1, 2, 3, 4, 5, 6}, []float64{1, 3, 5, 2, 4, 6}
	for name, x := range map[string]struct {
		arrays  []array
		units   Units
		assumed bool
	}{
		"W":                    {[]array{{"W", "<f4", false, []int{3, 2}, rows}, b, c}, Spin, true},
		"W, Fortran":           {[]array{{"W", "<f8", true, []int{3, 2}, columns}, b, c}, Spin, true},
		"W, units":             {[]array{{"W", "<f4", false, []int{3, 2}, rows}, b, c, {"units", "|S6", false, nil, "binary"}, {"format", "|S1", false, nil, "1"}}, Binary, false},
		"components_":          {[]array{{"components_", "<f8", false, []int{2, 3}, columns}, visible, hidden}, Binary, true},
		"components_, Fortran": {[]array{{"components_", "<f4", true, []int{2, 3}, rows}, visible, hidden}, Binary, true},
	} {
		m, err := decode(npzFile(t, x.arrays...))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want.Units = x.units
		if d := cmp.Diff(&Model{RBM: want, UnitsAssumed: x.assumed}, m); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// tensorFile is a safetensors file of spins in format 1.
func tensorFile(t testing.TB, data ...safetensors.Data) []byte {
	t.Helper()
	return tensorFileAs(t, map[string]string{"units": "spin", "format": "1"}, data...)
}

func tensorFileAs(t testing.TB, meta map[string]string, data ...safetensors.Data) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := safetensors.Write(&b, meta, data...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestVisibleUnits(t *testing.T) {
	h := safetensors.Of("h", make([]float32, 4), 4)
	j := safetensors.Of("J", make([]float64, 16), 4, 4)
	for name, x := range map[string]struct {
		data []safetensors.Data
		want []int32
	}{
		"none":    {nil, []int32{0, 1, 2, 3}},
		"count":   {[]safetensors.Data{safetensors.Of("visible", []int64{2})}, []int32{0, 1}},
		"indices": {[]safetensors.Data{safetensors.Of("visible", []uint32{3, 1}, 2)}, []int32{1, 3}},
		"mask":    {[]safetensors.Data{safetensors.Of("visible", []bool{false, true, true, false}, 4)}, []int32{1, 2}},
	} {
		m, err := decode(tensorFile(t, append(x.data, j, h)...))
		if err != nil || !slices.Equal(m.Network.Visible, x.want) {
			t.Errorf("%s: %+v, %v; want %v", name, m, err, x.want)
		}
	}
	m, err := decode(tensorFile(t, j))
	if err != nil || !slices.Equal(m.Network.H, make([]float32, 4)) {
		t.Errorf("J alone: %+v, %v", m, err)
	}
}

func TestPairsAreOrdered(t *testing.T) {
	m, err := decode(tensorFile(t, safetensors.Of("h", make([]float32, 4), 4), safetensors.Of("row", []int32{3, 0, 1}, 3),
		safetensors.Of("col", []int64{1, 2, 0}, 3), safetensors.Of("value", []float32{31, 2, 10}, 3)))
	if err != nil {
		t.Fatal(err)
	}
	want := &Network{
		Units: Spin, N: 4, H: make([]float32, 4), Visible: []int32{0, 1, 2, 3},
		Row: []int32{0, 0, 1}, Col: []int32{1, 2, 3}, Value: []float32{10, 2, 31},
	}
	if d := cmp.Diff(want, m.Network); d != "" {
		t.Error(d)
	}
}

func badModels(t testing.TB) map[string][]byte {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	w := safetensors.Of("W", make([]float32, 6), 3, 2)
	b, c := safetensors.Of("b", make([]float32, 3), 3), safetensors.Of("c", make([]float32, 2), 2)
	j, h := safetensors.Of("J", make([]float32, 9), 3, 3), safetensors.Of("h", make([]float32, 3), 3)
	row := func(i ...int32) safetensors.Data { return safetensors.Of("row", i, len(i)) }
	col := func(i ...int32) safetensors.Data { return safetensors.Of("col", i, len(i)) }
	value := func(x ...float32) safetensors.Data { return safetensors.Of("value", x, len(x)) }
	n := func(name, descr string, data any, shape ...int) array { return array{name, descr, false, shape, data} }
	nb, nc := n("b", "<f4", make([]float32, 3), 3), n("c", "<f4", make([]float32, 2), 2)
	return map[string][]byte{
		"too short":                        nil,
		"a single array":                   []byte("\x93NUMPY\x01\x00"),
		".npz archive":                     []byte("PK\x03\x04"),
		"header":                           []byte("\x02\x00\x00\x00\x00\x00\x00\x00[]"),
		"found b, c":                       tensorFile(t, b, c),
		"found nothing":                    tensorFile(t),
		"no tensor c; found W, b":          tensorFile(t, w, b),
		`model format "2", want 1`:         tensorFileAs(t, map[string]string{"format": "2"}, w, b, c),
		`units "volt"`:                     tensorFileAs(t, map[string]string{"units": "volt"}, w, b, c),
		"more than one model":              tensorFile(t, w, b, c, j, h),
		"more than one model: want":        tensorFile(t, j, h, row(0), col(1), value(1)),
		"W[1, 0] is NaN":                   tensorFile(t, safetensors.Of("W", []float32{0, 0, nan, 0, 0, 0}, 3, 2), b, c),
		"b[2] is +Inf":                     tensorFile(t, w, safetensors.Of("b", []float32{0, 0, inf}, 3), c),
		"c[1] is 1e+300":                   tensorFile(t, w, b, safetensors.Of("c", []float64{0, 1e300}, 2)),
		"b has 2 biases":                   tensorFile(t, w, safetensors.Of("b", make([]float32, 2), 2), c),
		"c has 3 biases":                   tensorFile(t, w, b, safetensors.Of("c", make([]float32, 3), 3)),
		"W has shape [6]":                  tensorFile(t, safetensors.Of("W", make([]float32, 6), 6), b, c),
		"type I32, want F32":               tensorFile(t, safetensors.Of("W", make([]int32, 6), 3, 2), b, c),
		"3 visible and 0 hidden":           tensorFile(t, safetensors.Of("W", []float32{}, 3, 0), b, c),
		"as many rows as columns":          tensorFile(t, safetensors.Of("J", make([]float32, 6), 3, 2), h),
		"h has 3 fields, but J has 2":      tensorFile(t, safetensors.Of("J", make([]float32, 4), 2, 2), h),
		"J[0, 0] is 1, want 0":             tensorFile(t, safetensors.Of("J", []float32{1, 0, 0, 0}, 2, 2)),
		"J[1, 0] is 2 but J[0, 1] is 1":    tensorFile(t, safetensors.Of("J", []float32{0, 1, 2, 0}, 2, 2)),
		"no h":                             tensorFile(t, row(0), col(1), value(1)),
		"no units":                         tensorFile(t, safetensors.Of("J", []float32{}, 0, 0)),
		"no tensor row":                    tensorFile(t, h, col(1), value(1)),
		"row has shape [2]":                tensorFile(t, h, row(0, 1), col(1), value(1)),
		"col[0] is 3, want a unit":         tensorFile(t, h, row(0), col(3), value(1)),
		"row[0] is -1, want a unit":        tensorFile(t, h, row(-1), col(1), value(1)),
		"unit 1 couples to itself":         tensorFile(t, h, row(1), col(1), value(1)),
		"units 0 and 1 couple twice":       tensorFile(t, h, row(0, 1), col(1, 0), value(1, 2)),
		"value[0] is NaN":                  tensorFile(t, h, row(0), col(1), value(nan)),
		"visible has shape [2 1]":          tensorFile(t, j, safetensors.Of("visible", []int32{0, 1}, 2, 1)),
		"visible has type U8":              tensorFile(t, j, safetensors.Of("visible", []uint8{0, 1}, 2)),
		"visible[0] is 7":                  tensorFile(t, j, safetensors.Of("visible", []int32{7}, 1)),
		"visible is 4":                     tensorFile(t, j, safetensors.Of("visible", []int32{4})),
		"unit 1 is visible twice":          tensorFile(t, j, safetensors.Of("visible", []int32{1, 1}, 2)),
		"no visible unit":                  tensorFile(t, j, safetensors.Of("visible", []int32{}, 0)),
		"x.model:W: header: pickled":       npzFile(t, n("W", "|O", "\x80\x04.", 1, 1), nb, nc),
		"x.model:W: header: dtype \"<c8\"": npzFile(t, n("W", "<c8", make([]float32, 12), 3, 2), nb, nc),
		"W has type int64, want float32":   npzFile(t, n("W", "<i8", make([]int64, 6), 3, 2), nb, nc),
		"W[2, 1] is -Inf":                  npzFile(t, n("W", "<f4", []float32{0, 0, 0, 0, 0, -inf}, 3, 2), nb, nc),
		"W[0, 1] is NaN":                   npzFile(t, array{"W", "<f4", true, []int{3, 2}, []float32{0, 0, 0, nan, 0, 0}}, nb, nc),
		"no array c; found W, b":           npzFile(t, n("W", "<f4", make([]float32, 6), 3, 2), nb),
		"no array intercept_visible_":      npzFile(t, n("components_", "<f4", make([]float32, 6), 3, 2)),
		"x.model:b: shape [3] of float32":  npzFile(t, n("W", "<f4", make([]float32, 6), 3, 2), n("b", "<f4", make([]float32, 2), 3), nc),
		"W unpacks to 80000000 bytes":      npzFile(t, n("W", "<f4", make([]float32, 20_000_000), 5000, 4000), nb, nc),
		"one string":                       npzFile(t, n("W", "<f4", make([]float32, 6), 3, 2), nb, nc, n("units", "<f4", []float32{1}, 1)),
	}
}

func TestBadModels(t *testing.T) {
	for want, file := range badModels(t) {
		m, err := decode(file)
		if err == nil {
			t.Errorf("%q: no error, but %+v", want, m)
			continue
		}
		if s := err.Error(); !strings.HasPrefix(s, "x.model:") || !strings.Contains(s, want) || strings.ContainsAny(s, "\n\r") {
			t.Errorf("%q, want one line with the file and %q", s, want)
		}
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "none")} {
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("Load(%s) = %v", path, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, file := range badModels(f) {
		if len(file) < 1<<16 {
			f.Add(file)
		}
	}
	f.Add(encode(f, &Model{RBM: randomRBM(3, 2, Binary)}))
	f.Add(encode(f, &Model{Network: randomNetwork(5, Spin, false)}))
	f.Fuzz(func(t *testing.T, file []byte) {
		m, err := decode(file)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("more than one line: %q", err)
			}
			return
		}
		// What was read can be written, and comes back the same.
		again, err := decode(encode(t, m))
		if err != nil {
			t.Fatal(err)
		}
		again.UnitsAssumed = m.UnitsAssumed
		if !cmp.Equal(m, again) {
			t.Error("a model that was read changes when it is written")
		}
	})
}
