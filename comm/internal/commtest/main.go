// Command commtest exercises a group of processes for the tests of package
// comm: it is started by mpirun and prints one line for each rank.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"time"

	"kadanoff/comm"
)

func main() {
	n := flag.Int("n", 400_000, "numbers in a sum")
	repeats := flag.Int("repeats", 20, "sums")
	timeout := flag.Duration("timeout", time.Minute, "of a collective")
	collect := flag.Bool("gc", true, "collect garbage all the time; not for timing")
	die := flag.String("die", "", "how the last rank ends before its third sum: kill, hang, exit0")
	flag.Parse()
	g, err := comm.Open(comm.Options{Timeout: *timeout})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if err := run(g, *n, *repeats, *collect, *die); err != nil {
		fmt.Fprintln(os.Stderr, err)
		g.Abort(1)
	}
	if err := g.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(g comm.Group, n, repeats int, collect bool, die string) error {
	rank, size := g.Rank(), g.Size()
	hello := make([]byte, 1<<20+3)
	if rank == size-1 {
		for i := range hello {
			hello[i] = byte(i * 7)
		}
	}
	if err := g.Bcast(hello, size-1); err != nil {
		return err
	}
	for i, b := range hello {
		if b != byte(i*7) {
			return fmt.Errorf("rank %d: byte %d of a broadcast is %d", rank, i, b)
		}
	}
	// Garbage collections while MPI holds our memory must not hurt.
	stop := make(chan bool)
	defer close(stop)
	go func() {
		for collect {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	long, short, float := make([]int64, n), make([]int32, 1001), make([]float64, 1001)
	best := time.Hour
	for k := range repeats {
		if k == 2 && rank == size-1 {
			end(die)
		}
		for i := range long {
			long[i] = int64(i)*int64(rank+1) - int64(k)<<40
		}
		for i := range short {
			short[i] = int32(i * (rank + 1))
			float[i] = 1e16 * float64(1-2*(rank&1)) * float64(min(rank, 1)) // big terms of both signs
			if rank == 0 {
				float[i] = float64(i)
			}
		}
		if err := g.Barrier(); err != nil {
			return err
		}
		t := time.Now()
		if err := g.SumInt64(long); err != nil {
			return err
		}
		best = min(best, time.Since(t))
		if err := g.SumInt32(short); err != nil {
			return err
		}
		if err := g.SumFloat64(float); err != nil {
			return err
		}
		ranks := int64(size) * int64(size+1) / 2
		for i, x := range long {
			if x != int64(i)*ranks-int64(size)*int64(k)<<40 {
				return fmt.Errorf("rank %d: sum %d is %d", rank, i, x)
			}
		}
		for i := range short {
			want := float64(i)
			for r := 1; r < size; r++ {
				want += 1e16 * float64(1-2*(r&1))
			}
			if short[i] != int32(i)*int32(ranks) || float[i] != want {
				return fmt.Errorf("rank %d: sums %d are %d and %v", rank, i, short[i], float[i])
			}
		}
	}
	all, err := g.Gather([]byte{byte(rank), 42})
	if err != nil {
		return err
	}
	for r := range size {
		if all[2*r] != byte(r) || all[2*r+1] != 42 {
			return fmt.Errorf("rank %d: gathered %v", rank, all)
		}
	}
	var own error
	if rank == size-1 {
		own = fmt.Errorf("rank %d has something to say", rank)
	}
	p := (*comm.PeerError)(nil)
	if err := comm.Agree(g, own, func(error) int { return 9 }); !errors.As(err, &p) || p.Rank != size-1 || p.Code != 9 || p.Text != fmt.Sprintf("rank %d has something to say", size-1) || p.Err != own {
		return fmt.Errorf("rank %d: agreed on %v", rank, err)
	}
	if place, err := comm.Locate(g); err != nil || place != (comm.Place{Rank: rank, Size: size, Sharing: size}) {
		return fmt.Errorf("rank %d: runs at %+v, %v: want one machine and no binding", rank, place, err)
	}
	if rank == 0 {
		fmt.Printf("commtest: %d ranks, sum of %d int64 in %.3f ms, %s\n", size, n, best.Seconds()*1e3, g.Library())
	}
	return g.Barrier()
}

func end(how string) {
	switch how {
	case "kill":
		p, err := os.FindProcess(os.Getpid())
		if err == nil {
			_ = p.Kill()
		}
		time.Sleep(time.Hour)
	case "hang":
		time.Sleep(time.Hour)
	case "exit0":
		os.Exit(0)
	}
}
