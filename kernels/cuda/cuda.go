// Package cuda holds the device code of the CUDA backend: the sources (*.cu),
// the PTX that make ptx compiles from them, and the shapes that both sides
// agree on. Each source begins with the loop it computes.
//
// The PTX is of version 7.0 for sm_80: the driver compiles it for Ampere, Ada,
// Hopper and what comes after them.
package cuda

import _ "embed"

//go:embed gibbs.ptx
var gibbs string

//go:embed sweeps.ptx
var sweeps string

//go:embed list.ptx
var list string

//go:embed state.ptx
var state string

//go:embed pack.ptx
var pack string

//go:embed moments.ptx
var moments string

//go:embed train.ptx
var train string

//go:embed energy.ptx
var energy string

//go:embed enumerate.ptx
var enumerate string

//go:embed lattice.ptx
var lattice string

//go:embed roots.ptx
var roots string

//go:embed means.ptx
var means string

//go:embed rbm.ptx
var rbm string

// Modules returns the PTX of each source by its name.
func Modules() map[string]string {
	return map[string]string{
		"gibbs": gibbs, "sweeps": sweeps, "list": list, "state": state, "pack": pack, "moments": moments, "train": train, "energy": energy, "enumerate": enumerate,
		"lattice": lattice, "roots": roots, "means": means, "rbm": rbm,
	}
}

// Kernels lists the entry points of each source.
func Kernels() map[string][]string {
	return map[string][]string{
		"gibbs": {
			"gibbs_digits2", "gibbs_digits3", "gibbs_digits4", "means_digits2", "means_digits3", "means_digits4",
			"fields_digits2", "fields_digits3", "fields_digits4",
		},
		"sweeps":  {"sweeps_digits2", "sweeps_digits3", "sweeps_digits4"},
		"list":    {"gibbs_list"},
		"state":   {"toss_coins", "spins_to_rows", "rows_to_spins", "advance_clock"},
		"pack":    {"pack_digits", "fold_weights"},
		"moments": {"count_ones", "count_edges", "count_pairs"},
		"train": {
			"sum_spins", "sum_means", "sum_pairs", "add_energies", "exchange_chains", "mean_changes", "change_weights",
			"change_visible", "change_hidden", "fit_fraction", "round_weights", "sum_all", "change_tied",
		},
		"energy":    {"run_terms", "free_energies", "add_differences", "list_energies"},
		"enumerate": {"enum_values", "enum_factors", "enum_weights", "enum_minimum", "enum_count", "enum_histogram", "enum_sums"},
		"lattice":   {"lattice_metropolis", "lattice_heat_bath", "lattice_ends", "lattice_count"},
		"roots":     {"roots_table", "roots_newton"},
		"means":     {"mean_field"},
		"rbm":       {"rbm_rows", "rbm_columns", "rbm_tiles"},
	}
}

// Shapes of the launches, as the sources name them.
const (
	WordUnits   = 32  // units in a word of spins
	BlockChains = 256 // chains of a block of gibbs.cu: rows of spins are padded to whole blocks
	SweepChains = 64  // chains of a block of sweeps.cu
	SweepWords  = 32  // words of spins that it has room for
	SweepUnits  = 128 // of a layer: two tiles for each of its warps
	GroupUnits  = 16  // units whose bias and free mask lie together
	StepInputs  = 32  // inputs in a step of the product
	PairTile    = 64  // rows and columns of a block of count_pairs
	PairWords   = 64  // words of 32 chains of a block of count_pairs
	FoldInputs  = 64  // inputs of a thread of fold_weights
	SumRows     = 64  // visible and hidden units of a block of sum_pairs
	SumColumns  = 32
	ChangeRows  = 64 // visible units of a block of change_weights

	PanelColumns = 16   // columns of a panel of product.h: states or chains
	PanelRows    = 64   // rows of a tile of it
	TileRows     = 8    // rows of a tile of rbm.cu
	TileBlocks   = 4    // tiles of a block of it
	EnumCounters = 8192 // of a block of enum_histogram

	MaxGridY     = 65535      // blocks in the second dimension of a grid
	MinVersion   = 11000      // first driver that takes the PTX, as cuDriverGetVersion says it
	MinMajor     = 8          // first compute capability that runs it
	BetaCold     = ^uint64(0) // the β of T = 0 on the device
	fragmentSize = 32 * 4     // words in the fragments of 16 units and 32 inputs, one digit
)

// Digits returns how many balanced base-256 digits, 2 to 4, hold every weight.
// n of them hold −128·(1+256+…) to 127·(1+256+…).
func Digits(w []int32) int {
	lo, hi := int32(0), int32(0)
	for _, x := range w {
		lo, hi = min(lo, x), max(hi, x)
	}
	most := int64(127 * 257)
	least := int64(-128 * 257)
	for digits := 2; digits < 4; digits++ {
		if int64(lo) >= least && int64(hi) <= most {
			return digits
		}
		most, least = most*256+127, least*256-128
	}
	return 4
}

// Pairs returns the groups of 16 units in a tile of the product with the given
// number of digits.
func Pairs(digits int) int {
	if digits == 2 {
		return 2
	}
	return 1
}

// Tiles returns the number of unit tiles of a layer.
func Tiles(units, digits int) int {
	size := GroupUnits * Pairs(digits)
	return (units + size - 1) / size
}

// WeightWords returns the number of 32-bit words that a layer's packed weights
// take: units that hear steps·StepInputs inputs.
func WeightWords(units, steps, digits int) int64 {
	return int64(Tiles(units, digits)) * int64(steps) * int64(Pairs(digits)*digits*fragmentSize)
}
