package backendtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"testing"

	"kadanoff/backend"
	"kadanoff/spin"
)

// RBMCase is an enumeration of an RBM whose result is known.
type RBMCase struct {
	Name            string
	Visible, Hidden int
	Scale           float32
	Golden          string // digest of the result, moments included
}

// Network returns the case's network.
func (c *RBMCase) Network() *spin.Network {
	return must(RandomRBM(c.Visible, c.Hidden, c.Scale, 21))
}

// RBMCases returns the RBMs of the suite.
func RBMCases() []RBMCase {
	return []RBMCase{
		{"1x1", 1, 1, 1, "ee37e26380e21e6cc0d4b12c0d502b7a7ac9a978062eae9b013c8db12a26f8e4"},
		{"3x2", 3, 2, 2, "937b183d50ec7be7821f7574a834e1e065591dbf7266160f76fa5502aab284aa"},
		{"2x5", 2, 5, 2, "ade0ac2853bb2fe5afa357f87455a1bb8fe95beadcdbf93e9c4d021c16afae15"},
		{"7x4", 7, 4, 3, "d0e990ec340dd27a83628c98354fa2967e4f50d33a3ccf4cf8c758bcd4e1fbbe"},
		{"5x11", 5, 11, 3, "800318a081f889215f061739043a36360259ded22d7b7a9c57a8eef8218c80eb"},
		{"13x10", 13, 10, 1, "ef33e84ac9e2883b8019810932ac0bf39bc27e9800b64829b5560d3d1fba9e96"},
		{"8x8", 8, 8, 4, "62437e619cdcffc2f6ba262ca01460e6056b284b152fbe63d46def35d40056ea"},
		{"37x9", 37, 9, 8, "82e8ee22ec20111d3efe6765078d05b7512e50d817ade14d2d070ea85bd1dd6a"},
		{"23x10-large-fields", 23, 10, 300, "68756bc97d53b867e2d6adb0c36c8c5eb6add83211bb51d5637d828cde256254"},
		{"11x5-huge-fields", 11, 5, 100000, "290a17acb5b1546faf0043412b6047a339fc87d1e600dfa43d559a9907ec02bb"},
		{"101x8", 101, 8, 2, "9a2ab1d6b285f34510e3532e80069074ca5e5a253c6a354f5d2f4b08a9eb2cd5"},
	}
}

// Digest enumerates the RBM and returns the SHA-256 of the result, in hex.
func (c *RBMCase) Digest(ctx context.Context, b backend.Backend) (string, error) {
	e, err := b.EnumerateRBM(ctx, &backend.EnumerateRBMJob{Network: c.Network(), Moments: true})
	if err != nil {
		return "", fmt.Errorf("rbm %s: %w", c.Name, err)
	}
	text, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// Transposed returns an RBM with its layers exchanged.
func Transposed(n *spin.Network) *spin.Network {
	v, h := n.Layers[0], n.Layers[1]
	t := &spin.Network{Net: spin.Net[int32]{Layers: []int{h, v}}, Frac: n.Frac}
	t.Bias = append(append(t.Bias, n.Bias[v:]...), n.Bias[:v]...)
	w := make([]int32, v*h)
	for i, x := range n.Blocks[0].W {
		w[i%h*v+i/h] = x
	}
	t.Blocks = []spin.Block[int32]{{A: 0, B: 1, W: w}}
	return t
}

func enumeratesRBMs(t *testing.T, b backend.Backend) {
	ctx := context.Background()
	for _, c := range RBMCases() {
		got, err := c.Digest(ctx, b)
		if err != nil {
			t.Error(err)
		} else if got != c.Golden {
			t.Errorf("rbm %s: digest %s, want %s", c.Name, got, c.Golden)
		}
		n := c.Network()
		e, err := b.EnumerateRBM(ctx, &backend.EnumerateRBMJob{Network: n, Moments: true})
		check(t, err)
		plain, err := b.EnumerateRBM(ctx, &backend.EnumerateRBMJob{Network: n})
		check(t, err)
		limit := 1e-12 * max(1, math.Abs(e.LogZ))
		if math.Abs(plain.LogZ-e.LogZ) > limit {
			t.Errorf("rbm %s: log Z %v without moments, %v with", c.Name, plain.LogZ, e.LogZ)
		}
		if c.Visible+c.Hidden <= 13 {
			nearRBM(t, c.Name, e, bruteForce(n), limit)
		}
		// from the other side: equal layers enumerate the other one
		if c.Visible == c.Hidden {
			x, err := b.EnumerateRBM(ctx, &backend.EnumerateRBMJob{Network: Transposed(n), Moments: true})
			check(t, err)
			if math.Abs(x.LogZ-e.LogZ) > limit {
				t.Errorf("rbm %s: log Z %v, from the other layer %v", c.Name, e.LogZ, x.LogZ)
			}
		}
	}
	// exact log-likelihood: Σ_v p(v) ln p(v) over all v of a small machine
	n := RBMCases()[3].Network()
	all := spin.NewBatch(7, 128)
	for v := range 128 {
		for i := range 7 {
			all.Set(i, v, v>>i&1 == 1)
		}
	}
	mean, logZ, err := backend.LogLikelihood(ctx, b, n, all)
	check(t, err)
	f := make([]float64, 128)
	check(t, b.FreeEnergy(ctx, backend.FreeEnergyJob{Network: n, Summed: 1, States: all}, f))
	total, sum := 0.0, 0.0
	for _, x := range f {
		total += math.Exp(-x - logZ)
		sum += -x - logZ
	}
	if math.Abs(total-1) > 1e-12 || math.Abs(sum/128-mean) > 1e-12 {
		t.Errorf("probabilities add up to %v; mean log-likelihood %v, want %v", total, mean, sum/128)
	}
	big := must(RandomRBM(40, 35, 1, 1))
	if _, err := b.EnumerateRBM(ctx, &backend.EnumerateRBMJob{Network: big}); err == nil {
		t.Error("35 units are enumerated")
	}
	if _, err := b.EnumerateRBM(ctx, &backend.EnumerateRBMJob{Network: must(RandomBoltzmann(3, 3, 1, 1))}); err == nil {
		t.Error("a Boltzmann machine is enumerated as an RBM")
	}
}

// bruteForce sums over all states of both layers.
func bruteForce(n *spin.Network) *backend.RBMEnumeration {
	v, h := n.Layers[0], n.Layers[1]
	e := &backend.RBMEnumeration{Visible: make([]float64, v), Hidden: make([]float64, h), Pairs: make([]float64, v*h)}
	sign := func(s, i int) float64 { return float64(s>>i&1*2 - 1) }
	energies := make([]float64, 1<<(v+h))
	top := math.Inf(-1)
	for s := range energies {
		x := 0.0
		for u, b := range n.Bias {
			x += float64(b) * sign(s, u)
		}
		for k, w := range n.Blocks[0].W {
			x += float64(w) * sign(s, k/h) * sign(s, v+k%h)
		}
		energies[s] = math.Ldexp(x, -int(n.Frac))
		top = max(top, energies[s])
	}
	z := 0.0
	for s, x := range energies {
		w := math.Exp(x - top)
		z += w
		for i := range v {
			e.Visible[i] += w * sign(s, i)
		}
		for a := range h {
			e.Hidden[a] += w * sign(s, v+a)
		}
		for k := range e.Pairs {
			e.Pairs[k] += w * sign(s, k/h) * sign(s, v+k%h)
		}
	}
	for _, list := range [][]float64{e.Visible, e.Hidden, e.Pairs} {
		for i := range list {
			list[i] /= z
		}
	}
	e.LogZ = top + math.Log(z)
	return e
}

func nearRBM(t *testing.T, name string, got, want *backend.RBMEnumeration, limit float64) {
	t.Helper()
	if math.Abs(got.LogZ-want.LogZ) > limit {
		t.Errorf("rbm %s: log Z = %.17g, want %.17g", name, got.LogZ, want.LogZ)
	}
	for what, lists := range map[string][2][]float64{"visible": {got.Visible, want.Visible}, "hidden": {got.Hidden, want.Hidden}, "pair": {got.Pairs, want.Pairs}} {
		for i, x := range lists[1] {
			if math.Abs(lists[0][i]-x) > 1e-12 {
				t.Errorf("rbm %s: %s mean %d = %.17g, want %.17g", name, what, i, lists[0][i], x)
				break
			}
		}
	}
}
