package backend

import (
	"context"
	"errors"
	"fmt"

	"kadanoff/spin"
)

// EnergyJob asks for E = −Σ W_ij s_i s_j − Σ Bias_i s_i of each chain, an exact
// integer with the network's fraction bits (eqs 12 and 25 of the thesis).
type EnergyJob struct {
	Network *spin.Network
	States  *spin.Batch // all units of the network
}

// Check reports what is wrong with the job; dst is where results would go.
func (j *EnergyJob) Check(dst []int64) error { return j.CheckContext(context.Background(), dst) }

// CheckContext is Check that returns the context's error soon after ctx ends.
func (j *EnergyJob) CheckContext(ctx context.Context, dst []int64) error {
	if j.Network == nil {
		return errors.New("no network")
	}
	if err := j.Network.CheckContext(ctx); err != nil {
		return err
	}
	if err := j.Network.CheckRangeContext(ctx); err != nil {
		return err
	}
	if err := CheckStates(j.States, j.Network.Units(), -1); err != nil {
		return err
	}
	if len(dst) != j.States.Chains {
		return fmt.Errorf("%d energies for %d chains", len(dst), j.States.Chains)
	}
	return nil
}

// FreeEnergyJob asks for F(v) = −Σ_i b_i v_i − Σ_a ln 2cosh(c_a + Σ_i W_ia v_i)
// of each chain: minus the logarithm of the unnormalised marginal of one layer
// of an RBM (eqs 31 to 33), the other layer summed out. The sum over a is
// fmath.SumLnCosh2, in ascending order.
//
// With a Base, biases and fields are those at each point of Mix between Base
// and the network, so that the differences along a path of annealed importance
// sampling come from one set of fields.
type FreeEnergyJob struct {
	Network *spin.Network // two layers, coupled only to each other
	Summed  int           // the layer summed out: 1 for hidden, 0 for visible
	States  *spin.Batch   // units of the other layer
	Base    []int32       // as in SamplerSpec; nil for none
	Mix     []uint32      // points on the path; nil for the network itself
}

// Check reports what is wrong with the job. dst has the shape [points][chains],
// with one point if Mix is nil.
func (j *FreeEnergyJob) Check(dst []float64) error { return j.CheckContext(context.Background(), dst) }

// CheckContext is Check that returns the context's error soon after ctx ends.
func (j *FreeEnergyJob) CheckContext(ctx context.Context, dst []float64) error {
	if err := CheckRBMContext(ctx, j.Network); err != nil {
		return err
	}
	if j.Summed != 0 && j.Summed != 1 {
		return fmt.Errorf("layer %d to sum out, want 0 or 1", j.Summed)
	}
	if err := CheckStates(j.States, j.Network.Layers[1-j.Summed], -1); err != nil {
		return err
	}
	if j.Base == nil && j.Mix != nil {
		return errors.New("interpolation without a second bias vector")
	}
	for _, m := range j.Mix {
		if err := CheckBase(j.Network, j.Base, m); err != nil {
			return err
		}
	}
	if want := max(len(j.Mix), 1) * j.States.Chains; len(dst) != want {
		return fmt.Errorf("%d free energies, want %d", len(dst), want)
	}
	return nil
}

// MeansJob asks for the mean-field iteration of real-valued configurations
// through an RBM (eqs 50 and 51, 75 and 76 of the thesis): in each step
//
//	h = tanh(c + Wᵀv),  v = tanh(b + W h)
//
// in float64. Visible holds the configurations on entry and the result on
// return, Hidden the last hidden means (zero after no steps); a call that is
// stopped leaves some chains further than others.
type MeansJob struct {
	Network *spin.Network // two layers, coupled only to each other, densely
	Chains  int
	Steps   int
	Visible []float64 // [Chains][visible units]
	Hidden  []float64 // [Chains][hidden units]; nil if not wanted
}

// Check reports what is wrong with the job.
func (j *MeansJob) Check() error { return j.CheckContext(context.Background()) }

// CheckContext is Check that returns the context's error soon after ctx ends.
func (j *MeansJob) CheckContext(ctx context.Context) error {
	if err := CheckRBMContext(ctx, j.Network); err != nil {
		return err
	}
	if j.Steps < 0 {
		return fmt.Errorf("%d steps, want 0 or more", j.Steps)
	}
	if j.Chains < 1 {
		return fmt.Errorf("%d chains, want at least 1", j.Chains)
	}
	if len(j.Visible) != j.Chains*j.Network.Layers[0] {
		return fmt.Errorf("%d visible values, want %d×%d", len(j.Visible), j.Chains, j.Network.Layers[0])
	}
	if j.Hidden != nil && len(j.Hidden) != j.Chains*j.Network.Layers[1] {
		return fmt.Errorf("%d hidden values, want %d×%d", len(j.Hidden), j.Chains, j.Network.Layers[1])
	}
	for i, x := range j.Visible {
		if i%lookCouplings == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if x != x || x > 1e6 || x < -1e6 {
			return fmt.Errorf("chain %d: visible unit %d is %v, want a number within ±1e6", i/j.Network.Layers[0], i%j.Network.Layers[0], x)
		}
	}
	return nil
}

// CheckRBM reports a network that is not an RBM: two layers and one dense block
// between them.
func CheckRBM(n *spin.Network) error { return CheckRBMContext(context.Background(), n) }

// CheckRBMContext is CheckRBM that returns the context's error soon after ctx
// ends.
func CheckRBMContext(ctx context.Context, n *spin.Network) error {
	if n == nil {
		return errors.New("no network")
	}
	if err := n.CheckContext(ctx); err != nil {
		return err
	}
	if !isRBM(&n.Net) {
		return errNoRBM
	}
	return n.CheckRangeContext(ctx)
}

// IsRBM reports whether a sound network has two layers and one dense block from
// the first to the second.
func IsRBM(n *spin.Network) bool { return isRBM(&n.Net) }

var errNoRBM = errors.New("not an RBM: want two layers and one dense block of couplings from the first to the second")

func isRBM[T int32 | float32](n *spin.Net[T]) bool {
	return len(n.Layers) == 2 && len(n.Blocks) == 1 && n.Blocks[0].A == 0 && n.Blocks[0].B == 1 && !n.Blocks[0].Sparse()
}
