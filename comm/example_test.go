package comm_test

import (
	"fmt"

	"kadanoff/comm"
)

// The same program is one process by itself and one of many under mpirun.
func ExampleOpen() {
	g, err := comm.Open(comm.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer g.Close()
	sums := []int64{int64(g.Rank()), 1}
	if err := g.SumInt64(sums); err != nil {
		fmt.Println(err)
		return
	}
	if g.Rank() == 0 {
		fmt.Println("processes:", sums[1])
	}
	// Output:
	// processes: 1
}
