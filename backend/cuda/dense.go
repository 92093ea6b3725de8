//go:build gpu && cgo

package cuda

import (
	"cmp"
	"fmt"

	kernels "kadanoff/kernels/cuda"
)

// dense is a layer that hears others through dense blocks, as gibbs.cu wants
// it: weights in fragments, biases less the sums of the weights, masks of free
// units, and the words in which the inputs are.
type dense struct {
	units  int
	steps  int // of 32 inputs
	digits int

	weights, bias, free, from memory
}

func wordsOf(units int) int { return (units + kernels.WordUnits - 1) / kernels.WordUnits }

// plan sets the words of the inputs and the free units.
func (l *dense) plan(from []int32, free []uint16) error {
	l.steps = len(from)
	if err := fill(&l.free, free); err != nil {
		return err
	}
	return fill(&l.from, from)
}

// room makes room for weights in the given number of digits.
func (l *dense) room(digits int) error {
	l.digits = digits
	return hold[uint32](&l.weights, kernels.WeightWords(l.units, l.steps, digits))
}

// pack turns one block of couplings into fragments of the steps from at on and
// takes its sums off the biases.
func (l *dense) pack(d *device, w *memory, inputs, perInput, perUnit, at int) error {
	steps := wordsOf(inputs)
	words := kernels.WeightWords(l.units, steps, l.digits)
	if err := d.launch("pack_digits", blocks(words, 256), 1, 1, 256, w.u(0), l.weights.u(0), uint64(inputs), uint64(l.units),
		uint64(perInput), uint64(perUnit), uint64(at), uint64(steps), uint64(l.steps), uint64(l.digits), uint64(kernels.Pairs(l.digits)),
		uint64(words)); err != nil {
		return err
	}
	const most = kernels.FoldInputs * kernels.MaxGridY
	for i := 0; i < inputs; i += most {
		part := min(inputs-i, most)
		if err := d.launch("fold_weights", blocks(int64(l.units), 128), blocks(int64(part), kernels.FoldInputs), 1, 128,
			w.u(4*int64(i)*int64(perInput)), l.bias.u(0), uint64(part), uint64(l.units), uint64(perInput), uint64(perUnit)); err != nil {
			return err
		}
	}
	return nil
}

// half is a half step of a dense layer.
type half struct {
	spins, out  uint64 // all words, and where the layer's are
	base, betas uint64
	stride      int
	chains      int
	chain0      uint32
	block0      uint32 // Philox block of the layer's first unit, with the stream
	seed        uint64
	clock       uint64
	ahead       uint64 // sweeps
	frac        uint
	mix         uint64 // where the interpolation of the clock's point is, if there is a base
	fields      uint64 // where the fields go, 0 for nowhere
}

// part is the half step of n chains from lo on, lo a multiple of
// kernels.BlockChains.
func (h half) part(lo, n int) *half {
	h.spins, h.out, h.betas = h.spins+4*uint64(lo), h.out+4*uint64(lo), h.betas+8*uint64(lo)
	h.chain0, h.chains = h.chain0+uint32(lo), n
	return &h
}

// update draws the layer.
func (l *dense) update(d *device, h *half) error {
	return d.launch(fmt.Sprintf("gibbs_digits%d", l.digits), padded(max(1, h.chains))/kernels.BlockChains, kernels.Tiles(l.units, l.digits), 1, 128,
		l.weights.u(0), l.bias.u(0), l.free.u(0), l.from.u(0), h.base, h.spins, h.out, h.betas, uint64(d.table), uint64(l.steps),
		uint64(h.stride), uint64(h.chains), uint64(h.chain0), uint64(h.block0), h.seed, h.clock, h.ahead,
		uint64(h.frac), h.mix, h.fields)
}

// means writes the means of the layer, in digits.
func (l *dense) means(d *device, h *half, to *memory) error {
	return d.launch(fmt.Sprintf("means_digits%d", l.digits), h.stride/kernels.BlockChains, kernels.Tiles(l.units, l.digits), 1, 128,
		l.weights.u(0), l.bias.u(0), l.from.u(0), h.spins, to.u(0), h.betas, uint64(d.table), uint64(l.steps), uint64(h.stride),
		uint64(h.chains), uint64(wordsOf(l.units)*kernels.WordUnits), uint64(h.frac))
}

func (l *dense) freeAll() error {
	return cmp.Or(l.weights.free(), l.bias.free(), l.free.free(), l.from.free())
}
