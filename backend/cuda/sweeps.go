//go:build gpu && cgo

package cuda

import (
	"fmt"
	"slices"

	kernels "kadanoff/kernels/cuda"
)

// small are the layers of a network so small that a launch does many sweeps of
// it, in the order in which a sweep updates them.
type small struct {
	layers memory
	sent   []smallLayer
	digits int // of all layers alike
	words  int // of a chain's spins
}

// smallLayer is struct Layer of sweeps.cu.
type smallLayer struct {
	weights, bias, free, from, base uint64
	steps, tiles, word              int32
	block0                          uint32
}

func (l *dense) small(base uint64, word int, block0 uint32) smallLayer {
	return smallLayer{
		weights: l.weights.u(0), bias: l.bias.u(0), free: l.free.u(0), from: l.from.u(0), base: base,
		steps: int32(l.steps), tiles: int32(kernels.Tiles(l.units, l.digits)), word: int32(word), block0: block0,
	}
}

// fitsSweeps reports whether layers of so many units, all dense, are small: a
// block does each in at most two rounds of its warps, and has room for the spins
// (docs/gpu.md).
func (d *device) fitsSweeps(layers []int) bool {
	words := 0
	for _, n := range layers {
		if n > d.units {
			return false
		}
		words += wordsOf(n)
	}
	return words <= kernels.SweepWords
}

// take brings the layers to the device if they are not what it has.
func (m *small) take(layers []smallLayer, digits, words int) error {
	m.digits, m.words = digits, words
	if slices.Equal(layers, m.sent) {
		return nil
	}
	m.sent = layers
	return fill(&m.layers, layers)
}

// queue queues so many sweeps of the chains of h.
func (m *small) queue(d *device, h *half, sweeps int) error {
	return d.launch(fmt.Sprintf("sweeps_digits%d", m.digits), blocks(int64(max(1, h.chains)), kernels.SweepChains), 1, 1, 128,
		m.layers.u(0), uint64(len(m.sent)), h.spins, uint64(m.words), h.betas, uint64(d.table), uint64(h.stride), uint64(h.chains),
		uint64(h.chain0), h.seed, h.clock, h.ahead, uint64(sweeps), uint64(h.frac), h.mix)
}
