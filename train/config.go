package train

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"kadanoff/backend"
	"kadanoff/model/modelfile"
	"kadanoff/spin"
)

// Config is what decides the result of training, together with the data. It is
// kept in checkpoints and compared on resuming.
type Config struct {
	Hidden    int             `json:"hidden"`
	Couplings string          `json:"couplings"` // between the layers, and inside: visible, hidden or all
	Units     modelfile.Units `json:"units"`     // what rate, decay and initial width refer to
	Algorithm string          `json:"algorithm"` // cd, pcd or pt
	K         int             `json:"k"`         // sweeps in a step
	Chains    int             `json:"chains"`    // of pcd and pt; 0 for the batch's size
	Batch     int             `json:"batch"`
	Epochs    int             `json:"epochs"`
	Seed      uint64          `json:"seed"`

	Rate         float64  `json:"rate"`
	Schedule     Schedule `json:"schedule"`
	Momentum     float64  `json:"momentum"`
	WeightDecay  float64  `json:"weight_decay"`
	L1           float64  `json:"l1"`
	Center       bool     `json:"center"`
	OffsetRate   float64  `json:"offset_rate"` // of the centring offsets
	Temperature  float64  `json:"temperature"` // T of the machine, P ∝ e^(−E/T)
	Temperatures int      `json:"temperatures"`
	Hottest      float64  `json:"hottest"` // highest temperature of pt, 0 for infinite

	InitWidth     float64 `json:"init_width"` // standard deviation of the initial weights
	Tied          bool    `json:"tied"`
	ExactGradient bool    `json:"exact_gradient"`
	Binarize      bool    `json:"binarize"` // the data are probabilities, drawn anew in each epoch
	Patience      int     `json:"patience"` // epochs without a better validation score; 0 for no early stopping
}

// Default returns the configuration that the flags of the command begin with.
func Default() Config {
	return Config{
		Hidden: 500, Couplings: "between", Units: modelfile.Spin, Algorithm: "pcd", K: 1, Batch: 100, Epochs: 50, Seed: 1,
		Rate: 0.05, Schedule: Schedule{Kind: "constant"}, OffsetRate: 0.01, Temperature: 1, Temperatures: 10, InitWidth: 0.01,
	}
}

// Check reports what is wrong, naming the flag.
func (c *Config) Check() error {
	bad := func(flag string, v any, want string) error { return fmt.Errorf("--%s %v: want %s", flag, v, want) }
	switch {
	case c.Hidden < 1:
		return bad("hidden", c.Hidden, "at least 1 unit")
	case c.Units != modelfile.Spin && c.Units != modelfile.Binary:
		return bad("units", c.Units, "spin or binary")
	case c.Algorithm != "cd" && c.Algorithm != "pcd" && c.Algorithm != "pt":
		return bad("algorithm", c.Algorithm, "cd, pcd or pt")
	case c.K < 1:
		return bad("k", c.K, "at least 1 sweep")
	case c.Chains < 0:
		return bad("chains", c.Chains, "at least 1, or 0 for as many as a batch has")
	case c.Algorithm == "cd" && c.Chains != 0:
		return bad("chains", c.Chains, "none with --algorithm cd, which starts one at every configuration of the batch")
	case c.Batch < 1 || c.Batch > 1<<30:
		return bad("batch", c.Batch, "at least 1 configuration")
	case c.Epochs < 1:
		return bad("epochs", c.Epochs, "at least 1")
	case !(c.Rate > 0 && c.Rate <= 1000):
		return bad("rate", c.Rate, "above 0 and at most 1000")
	case !(c.Momentum >= 0 && c.Momentum < 1):
		return bad("momentum", c.Momentum, "0 or more and below 1")
	case !(c.WeightDecay >= 0 && c.WeightDecay <= 1000):
		return bad("weight-decay", c.WeightDecay, "0 to 1000")
	case !(c.L1 >= 0 && c.L1 <= 1000):
		return bad("l1", c.L1, "0 to 1000")
	case !(c.OffsetRate >= 0 && c.OffsetRate <= 1):
		return bad("offset-rate", c.OffsetRate, "0 to 1")
	case !(c.InitWidth >= 0 && c.InitWidth <= 100):
		return bad("init-width", c.InitWidth, "0 to 100")
	case !(c.Temperature >= 1e-3 && c.Temperature <= 1e3):
		return bad("temperature", c.Temperature, "0.001 to 1000")
	case c.Algorithm == "pt" && (c.Temperatures < 2 || c.Temperatures > 4096):
		return bad("temperatures", c.Temperatures, "2 to 4096")
	case !(c.Hottest == 0 || c.Hottest > 1):
		return bad("hottest", c.Hottest, "above 1, or 0 for an infinite temperature")
	case c.Patience < 0:
		return bad("patience", c.Patience, "0 (no early stopping) or more")
	case c.Tied && c.Units != modelfile.Spin:
		return bad("units", c.Units, "spin with --tied")
	case c.Tied && c.Center:
		return fmt.Errorf("--center: a model with --tied weights has no biases to centre")
	}
	if c.general() {
		if err := c.checkGeneral(); err != nil {
			return err
		}
	}
	return c.Schedule.check()
}

// general reports whether units are coupled inside layers, too: a Boltzmann
// machine that is not restricted.
func (c *Config) general() bool { return c.Couplings != "between" }

// checkGeneral reports what machines with couplings inside layers cannot have.
func (c *Config) checkGeneral() error {
	want := func(flag string, v any, want string) error {
		return fmt.Errorf("--%s %v: want %s with --couplings %s", flag, v, want, c.Couplings)
	}
	switch {
	case c.Couplings != "visible" && c.Couplings != "hidden" && c.Couplings != "all":
		return fmt.Errorf("--couplings %s: want between, visible, hidden or all", c.Couplings)
	case c.Algorithm != "pcd":
		return want("algorithm", c.Algorithm, "pcd")
	case c.Units != modelfile.Spin:
		return want("units", c.Units, "spin")
	case c.Tied:
		return want("tied", c.Tied, "false")
	case c.Center:
		return want("center", c.Center, "false")
	}
	return nil
}

// algorithm returns the backend's name of the algorithm of a checked
// configuration.
func (c *Config) algorithm() backend.Algorithm {
	return map[string]backend.Algorithm{"cd": backend.CD, "pcd": backend.PCD, "pt": backend.PT}[c.Algorithm]
}

// ladder returns the temperatures of the chains: inverse temperatures from 1 to
// that of the hottest in equal steps.
func (c *Config) ladder() []float64 {
	if c.Algorithm != "pt" {
		return nil
	}
	last := 0.0
	if c.Hottest > 0 {
		last = 1 / c.Hottest
	}
	t := make([]float64, c.Temperatures)
	for r := range t {
		beta := 1 - float64((1-last)*float64(r))/float64(c.Temperatures-1)
		t[r] = math.Inf(1)
		if beta > 0 {
			t[r] = 1 / beta
		}
	}
	return t
}

// update returns the rates of the backend's ±1 units at a rate of the
// configuration's units.
//
// With x = (1+v)/2 in {0,1} and W₀₁ = 4W, a step of rate η for {0,1} units is
// one of η/16 for W and η/4 for centred biases; decay and L1 then count 16 and
// 4 times.
//
// The trainer works at T = 1 with the parameters θ/T, on which alone P depends.
// ∂ln P/∂θ is ∂ln P/∂(θ/T)/T, so a step of rate η for θ is one of η/T² for
// θ/T; decay then counts T² and L1 T times.
func (c *Config) update(rate float64) backend.Update {
	u := backend.Update{
		WeightRate: rate, BiasRate: rate, Momentum: c.Momentum, WeightDecay: c.WeightDecay, L1: c.L1,
	}
	if c.Units == modelfile.Binary {
		u.WeightRate, u.BiasRate = rate/16, rate/4
		u.WeightDecay, u.L1 = 16*c.WeightDecay, 4*c.L1
	}
	if t := c.Temperature; t != 1 {
		u.WeightRate, u.BiasRate = u.WeightRate/t/t, u.BiasRate/t/t
		u.WeightDecay, u.L1 = u.WeightDecay*t*t, u.L1*t
	}
	if c.Center {
		u.OffsetRate = c.OffsetRate
	}
	return u
}

// differs names the first field in which two configurations differ, by its
// flag, or returns "".
func (c *Config) differs(d *Config) string {
	x, y := reflect.ValueOf(*c), reflect.ValueOf(*d)
	for i := range x.NumField() {
		if !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			tag := x.Type().Field(i).Tag.Get("json")
			return fmt.Sprintf("--%s is %v, was %v", strings.ReplaceAll(tag, "_", "-"), x.Field(i).Interface(), y.Field(i).Interface())
		}
	}
	return ""
}

// Schedule is how the rate changes over a run.
type Schedule struct {
	Kind string  // constant, linear or inverse
	At   float64 // part of the run after which linear begins to fall; how far inverse falls
}

// ParseSchedule reads constant, linear[:FROM] or inverse[:FALL].
//
// With x the part of all steps done, linear keeps the rate until x = FROM
// (default 0) and then lets it fall in a straight line to nothing; inverse
// divides it by 1 + FALL·x (default 10).
func ParseSchedule(s string) (Schedule, error) {
	kind, arg, given := strings.Cut(s, ":")
	out := Schedule{Kind: kind}
	if kind == "inverse" {
		out.At = 10
	}
	if given {
		x, err := strconv.ParseFloat(arg, 64)
		if err != nil || kind == "constant" {
			return Schedule{}, fmt.Errorf("--schedule %q: want constant, linear[:FROM] or inverse[:FALL]", s)
		}
		out.At = x
	}
	return out, out.check()
}

func (s Schedule) check() error {
	switch {
	case s.Kind == "constant" && s.At == 0:
		return nil
	case s.Kind == "linear" && s.At >= 0 && s.At < 1:
		return nil
	case s.Kind == "inverse" && s.At >= 0 && s.At <= 1e9:
		return nil
	}
	return fmt.Errorf("--schedule %v: want constant, linear[:FROM] with FROM from 0 to below 1, or inverse[:FALL]", s)
}

// String returns what ParseSchedule reads.
func (s Schedule) String() string {
	if s.Kind == "constant" {
		return s.Kind
	}
	return s.Kind + ":" + strconv.FormatFloat(s.At, 'g', -1, 64)
}

// MarshalJSON writes what ParseSchedule reads.
func (s Schedule) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Schedule) UnmarshalJSON(text []byte) error {
	var str string
	if err := json.Unmarshal(text, &str); err != nil {
		return err
	}
	var err error
	*s, err = ParseSchedule(str)
	return err
}

// Rate returns what step t of n multiplies the rate by.
func (s Schedule) Rate(t, n uint64) float64 {
	x := float64(t) / float64(n)
	switch s.Kind {
	case "linear":
		return math.Min(1, (1-x)/(1-s.At))
	case "inverse":
		return 1 / (1 + float64(s.At*x))
	}
	return 1
}

// spinModel returns the ±1 network of a model in the units of its file.
func spinModel(m *modelfile.RBM) (*spin.Net[float32], modelfile.Conversion, error) {
	s, conv, err := m.Spin()
	if err != nil {
		return nil, conv, err
	}
	return spin.RBM(s.Visible, s.Hidden, s.W, s.B, s.C), conv, nil
}
