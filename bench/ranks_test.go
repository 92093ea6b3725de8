package bench

import (
	"context"
	"math"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/cpu"
	"kadanoff/comm"
)

// A measured step is made up of its parts.
func TestRanksOfOne(t *testing.T) {
	be, err := cpu.New(backend.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	r, err := Ranks(context.Background(), be, comm.One(), RankCase{31, 17, 70}, 9)
	if err != nil {
		t.Fatal(err)
	}
	if r.Case != "31x17x70" || r.Ranks != 1 || r.Sum != 0 || r.Bytes != 0 || !(r.Sample > 0 && r.Update > 0 && r.Step > 0) {
		t.Errorf("%+v", r)
	}
	if _, err := Ranks(context.Background(), be, comm.One(), RankCase{65536, 8192, 65536}, 9); err == nil {
		t.Error("a job of 4 GiB of sums is timed")
	}
}

// The model on paper gives back what it was made from, falls with 1/p where
// nothing is added up, and knows when doubling stops paying.
func TestPaper(t *testing.T) {
	m := RankRow{Case: "100x10x512", Source: "measured", Ranks: 2, Sample: 8e-3, Pack: 1e-4, Update: 2e-4, Read: 1e-5}
	rows, err := Paper(&m, RankCase{100, 10, 512}, Network{Latency: 1e-3, Bandwidth: 1e6})
	if err != nil {
		t.Fatal(err)
	}
	// 1000 weights and 2·110 + 3 more numbers of 8 bytes, p−1 of p of them twice.
	bytes := 8.0 * 1223
	for i, want := range []float64{16e-3 + 2e-4 + 2e-5, 8e-3 + 3e-4 + 2e-3 + bytes/1e6, 4e-3 + 3e-4 + 4e-3 + 1.5*bytes/1e6} {
		if math.Abs(rows[i].Step-want) > 1e-12 || rows[i].Ranks != 1<<i {
			t.Errorf("%d ranks: %v s, want %v", rows[i].Ranks, rows[i].Step, want)
		}
	}
	if last := rows[len(rows)-1]; last.Ranks != 512 || last.Sample != 1e-3*2 {
		t.Errorf("last row %+v: want 512 ranks, as there are chains, and one word", last)
	}
	if got := PaysUpTo(rows, 1.3); got != 1 {
		t.Errorf("pays up to %d", got)
	}
	fast, err := Paper(&m, RankCase{100, 10, 512}, Network{Latency: 0, Bandwidth: 1e12})
	if err != nil {
		t.Fatal(err)
	}
	if got := PaysUpTo(fast, 1.3); got != 8 {
		t.Errorf("without a network to wait for, 8 words pay up to %d ranks", got)
	}
}

func TestParseRankCase(t *testing.T) {
	if c, err := ParseRankCase("784x500x512"); err != nil || c != (RankCase{784, 500, 512}) {
		t.Errorf("%v, %v", c, err)
	}
	for _, bad := range []string{"", "784", "784x500", "0x1x1", "1x1x99999999", "1x1x1x1", "axbxc"} {
		if _, err := ParseRankCase(bad); err == nil {
			t.Errorf("%q is taken for a case", bad)
		}
	}
}
