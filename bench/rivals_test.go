package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"kadanoff/bench/peers"
	"kadanoff/kernels/isa"
)

// fakePeer makes the test binary a peer whose results are its value.
const fakePeer = "KADANOFF_FAKE_PEER"

func TestMain(m *testing.M) {
	if how := os.Getenv(fakePeer); how != "" {
		serveFake(how)
		return
	}
	os.Exit(m.Run())
}

func serveFake(how string) {
	fmt.Println(`{"version": "fake 1", "tasks": ["answer"]}`)
	scanner := bufio.NewScanner(os.Stdin)
	for scanner.Scan() {
		var r struct {
			ID    int
			Do    string
			Times int
		}
		if json.Unmarshal(scanner.Bytes(), &r) != nil {
			os.Exit(2)
		}
		switch {
		case r.Do == "run" && how == "dies":
			os.Exit(1)
		case r.Do == "run" && how == "hangs":
			time.Sleep(time.Hour)
		case r.Do == "run":
			fmt.Printf(`{"id": %d, "seconds": %g}`+"\n", r.ID, 0.02*float64(r.Times))
		case r.Do == "result" && how == "nothing":
			fmt.Printf(`{"id": %d, "values": {}}`+"\n", r.ID)
		case r.Do == "result" && how == "rubbish":
			fmt.Println("42")
		case r.Do == "result":
			fmt.Printf(`{"id": %d, "values": {"answer": %s}}`+"\n", r.ID, how)
		default:
			fmt.Printf(`{"id": %d}`+"\n", r.ID)
		}
	}
}

func quickTarget(t *testing.T) *Target {
	t.Helper()
	best := isa.Best()
	targets, err := Selection{Backend: "cpu", Level: &best, Threads: 1, Seed: 1}.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { targets[0].Close() })
	return targets[0]
}

// answerRivalry is work whose answer is 42.
func answerRivalry() Rivalry {
	return Rivalry{Name: "answer", Cases: []RivalCase{{
		Name: "answer/42", Asks: "answer", Unit: "question", Sizes: []Size{Quick},
		Prepare: func(context.Context, *Target, string) (*Rival, error) {
			return &Rival{
				Ours:     &Work{Do: func(_ context.Context, n int) error { time.Sleep(time.Duration(n) * time.Millisecond); return nil }},
				Compared: "answer",
				Compare: func(_ context.Context, r *peers.Result) (Result, error) {
					x, err := value(r, "answer")
					return Result{Exact: 42, Measured: x, Limit: 1}, err
				},
			}, nil
		},
	}}}
}

// Whatever peers do, each has its line, and those that work have their times.
func TestRivals(t *testing.T) {
	plan := &RivalPlan{Rivalries: []Rivalry{answerRivalry()}, Limit: time.Second}
	for _, how := range []string{"42.5", "hangs", "dies", "rubbish", "nothing", "45", "absent"} {
		plan.Peers = append(plan.Peers, peers.Peer{Name: how, Script: how})
	}
	plan.Start = func(ctx context.Context, _ string, p peers.Peer) (*peers.Worker, error) {
		if p.Name == "absent" {
			return nil, &peers.Missing{Reason: "No module named absent"}
		}
		return peers.Start(ctx, peers.Command{Args: []string{os.Args[0]}, Env: []string{fakePeer + "=" + p.Name}}, 20*time.Second)
	}
	report, err := RunRivals(context.Background(), plan, quickTarget(t))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]Record{}
	ours := 0
	for _, r := range report.Records {
		if r.Kind == KindBench {
			ours++
		} else {
			found[r.Peer] = r
		}
		if _, err := json.Marshal(r); err != nil {
			t.Error(err)
		}
	}
	if ours != 1 || len(found) != len(plan.Peers) {
		t.Errorf("%d records of ours and %d of %d peers", ours, len(found), len(plan.Peers))
	}
	for how, want := range map[string]string{
		"hangs": "no answer", "dies": "ended", "rubbish": `answered result with "42"`, "nothing": `no number "answer"`, "absent": "not installed",
	} {
		if r := found[how]; !strings.Contains(r.Note, want) || r.MinS != 0 {
			t.Errorf("%s: note %q, want %q", how, r.Note, want)
		}
	}
	for how, pass := range map[string]bool{"42.5": true, "45": false} {
		r := found[how]
		if r.Note != "" || r.Pass != pass || r.MinS != 0.02 || r.Repeats < leastSamples || r.Version != "fake 1" || r.Unit != "question" {
			t.Errorf("%s: record %+v", how, r)
		}
		if r.Ratio < 1 || r.Ratio > 20 || r.RatioMedian != r.MedianS/r.OursMedianS {
			t.Errorf("%s: ratio %v, of medians %v", how, r.Ratio, r.RatioMedian)
		}
	}
	if failed := report.Failed(); len(failed) != 1 || failed[0].Peer != "45" {
		t.Errorf("failed: %+v", failed)
	}

	plan.Peers = plan.Peers[len(plan.Peers)-1:]
	if _, err := RunRivals(context.Background(), plan, quickTarget(t)); !errors.Is(err, ErrNoPeers) || !strings.Contains(err.Error(), "absent") {
		t.Errorf("no peer at all: %v", err)
	}
}

// numpy, where it is, computes what ours does, in every kind of work.
func TestNumpyAgrees(t *testing.T) {
	if testing.Short() {
		t.Skip("works for seconds")
	}
	python := ""
	for _, p := range append([]string{"peers/venv/bin/python"}, Interpreters()...) {
		if path, err := exec.LookPath(p); err == nil && exec.Command(path, "-c", "import numpy").Run() == nil {
			python = path
			break
		}
	}
	if python == "" {
		t.Skip("no Python with numpy here")
	}
	plan := &RivalPlan{Rivalries: Rivalries(nil), Peers: peers.All()[:1], Limit: time.Minute}
	plan.Start = func(ctx context.Context, dir string, p peers.Peer) (*peers.Worker, error) {
		return peers.Start(ctx, peers.Python(python, dir, p, 1), time.Minute)
	}
	report, err := RunRivals(context.Background(), plan, quickTarget(t))
	if err != nil {
		t.Fatal(err)
	}
	done := map[string]bool{}
	for _, r := range report.Records {
		if r.Kind != KindPeer {
			continue
		}
		area, _, _ := strings.Cut(r.Name, "/")
		done[area] = true
		if !r.Pass {
			t.Errorf("%s: %s is %v, want %v within %v %s", r.Name, r.Compared, r.Measured, r.Exact, r.Limit, r.Note)
		}
	}
	if len(done) != len(Rivalries(nil)) {
		t.Errorf("compared %v", done)
	}
}

// The conversions between units are inverse to each other and keep ln Z.
func TestBinaryRBM(t *testing.T) {
	m := newNumbers(3).rbm01(5, 3, 0.7, 0.3)
	net, shift := m.spins()
	back := binaryOf(net)
	for name, x := range map[string][2][]float32{"w": {m.w, back.w}, "b": {m.b, back.b}, "c": {m.c, back.c}} {
		for i := range x[0] {
			if d := x[0][i] - x[1][i]; d > 1e-6 || d < -1e-6 {
				t.Errorf("%s[%d] is %v, was %v", name, i, x[1][i], x[0][i])
			}
		}
	}
	// Each state has e^shift times the weight that it has in {0,1} units.
	v, h := []float64{1, 0, 1, 1, 0}, []float64{0, 1, 1}
	e01, e := 0.0, 0.0
	for i := range v {
		e01 += float64(m.b[i]) * v[i]
		e += float64(net.Bias[i]) * (2*v[i] - 1)
		for a := range h {
			e01 += float64(m.w[i*3+a]) * v[i] * h[a]
			e += float64(net.Blocks[0].W[i*3+a]) * (2*v[i] - 1) * (2*h[a] - 1)
		}
	}
	for a := range h {
		e01 += float64(m.c[a]) * h[a]
		e += float64(net.Bias[5+a]) * (2*h[a] - 1)
	}
	if d := e - e01 - shift; d > 1e-6 || d < -1e-6 {
		t.Errorf("weights differ by e^%v, shift says %v", e-e01, shift)
	}
}
