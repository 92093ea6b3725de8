package backend

import (
	"context"
	"fmt"

	"kadanoff/spin"
)

// Coloring returns the units of each colour in ascending order, the colours in
// the order of their updates.
//
// With no colours given it chooses greedily, last layer first: each unit gets
// the smallest colour that none of its neighbours has. An RBM thus updates its
// hidden layer first and then its visible one: v → h → v. Given colours must
// be 0 … n−1, each used, and no two coupled units may share one.
func Coloring(n *spin.Network, colors []int) ([][]int32, error) {
	return ColoringContext(context.Background(), n, colors)
}

// ColoringContext is Coloring that returns the context's error soon after ctx
// ends.
func ColoringContext(ctx context.Context, n *spin.Network, colors []int) ([][]int32, error) {
	units := n.Units()
	if colors != nil {
		if len(colors) != units {
			return nil, fmt.Errorf("%d colours for %d units", len(colors), units)
		}
		if err := checkColors(ctx, n, colors); err != nil {
			return nil, err
		}
	} else if byLayer := colorLayers(n); byLayer != nil {
		colors = make([]int, 0, units)
		for l, size := range n.Layers {
			for range size {
				colors = append(colors, byLayer[l])
			}
		}
	} else {
		var err error
		if colors, err = colorUnits(ctx, n); err != nil {
			return nil, err
		}
	}
	var classes [][]int32
	for u, c := range colors {
		for c >= len(classes) {
			classes = append(classes, nil)
		}
		classes[c] = append(classes[c], int32(u))
	}
	for c, class := range classes {
		if len(class) == 0 {
			return nil, fmt.Errorf("colour %d has no units", c)
		}
	}
	return classes, nil
}

func checkColors(ctx context.Context, n *spin.Network, colors []int) error {
	for u, c := range colors {
		if c < 0 || c >= len(colors) {
			return fmt.Errorf("unit %d has colour %d, want 0 to %d", u, c, len(colors)-1)
		}
	}
	for k := range n.Blocks {
		b := &n.Blocks[k]
		fa, fb := n.First(b.A), n.First(b.B)
		var err error
		seen := 0
		b.Each(n.Layers[b.B], func(i, j int, w int32) {
			if seen++; seen%lookCouplings == 0 && err == nil {
				err = ctx.Err()
			}
			if err == nil && w != 0 && colors[fa+i] == colors[fb+j] {
				err = fmt.Errorf("units %d and %d are coupled and share colour %d", fa+i, fb+j, colors[fa+i])
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// lookCouplings is how many couplings a loop passes between two looks at its
// context.
const lookCouplings = 1 << 16

// colorLayers colours whole layers, or returns nil if a layer has couplings
// inside it.
func colorLayers(n *spin.Network) []int {
	heard := make([][]int, len(n.Layers))
	for k := range n.Blocks {
		b := &n.Blocks[k]
		if b.A == b.B {
			return nil
		}
		heard[b.A] = append(heard[b.A], b.B)
		heard[b.B] = append(heard[b.B], b.A)
	}
	colors := make([]int, len(n.Layers))
	for l := range colors {
		colors[l] = -1
	}
	for l := len(colors) - 1; l >= 0; l-- {
		colors[l] = smallestFree(heard[l], colors)
	}
	return colors
}

func colorUnits(ctx context.Context, n *spin.Network) ([]int, error) {
	ptr, col, _, err := n.NeighborsContext(ctx)
	if err != nil {
		return nil, err
	}
	colors := make([]int, n.Units())
	for u := range colors {
		colors[u] = -1
	}
	for l := len(n.Layers) - 1; l >= 0; l-- {
		for u := n.First(l); u < n.First(l)+n.Layers[l]; u++ {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			colors[u] = smallestFree(col[ptr[u]:ptr[u+1]], colors)
		}
	}
	return colors, nil
}

// smallestFree returns the smallest colour that none of the neighbours has.
func smallestFree[T int | int32](neighbors []T, colors []int) int {
	taken := make([]bool, len(neighbors)+1)
	for _, v := range neighbors {
		if c := colors[v]; c >= 0 && c < len(taken) {
			taken[c] = true
		}
	}
	for c, t := range taken {
		if !t {
			return c
		}
	}
	panic("backend: more colours than neighbours")
}
