package exact

import (
	"math"
	"sort"
)

// Drawer draws independent states of an RBM with their exact probabilities: no
// chain, no burn-in.
type Drawer struct {
	rbm        RBM // its hidden layer is the smaller one
	transposed bool
	layer      layer
	below      []float64 // Σ of the probabilities of the smaller layer's states up to each
}

// Drawer prepares exact draws by summing over the states of the smaller layer,
// at most MaxEnumerated units.
func (r RBM) Drawer() (*Drawer, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	d := &Drawer{rbm: r.smaller()}
	d.transposed = d.rbm.Hidden != r.Hidden
	d.layer = d.rbm.overHidden()
	logs, logZ := d.layer.logWeights()
	d.below = logs
	sum := 0.0
	for s, x := range logs {
		sum += math.Exp(x - logZ)
		d.below[s] = sum
	}
	return d, nil
}

// Draw writes a state of ±1 to v (visible units) and h (hidden units). uniform
// returns independent numbers in [0, 1): one decides the smaller layer, by
// inversion, and one each unit of the other layer given it.
func (d *Drawer) Draw(v, h []int8, uniform func() float64) {
	if d.transposed {
		v, h = h, v
	}
	u := uniform() * d.below[len(d.below)-1]
	s := min(sort.Search(len(d.below), func(s int) bool { return d.below[s] > u }), len(d.below)-1)
	for a := range h {
		h[a] = int8(spin(s, a))
	}
	lo, hi := s&(1<<d.layer.low-1), s>>d.layer.low
	for i := range v {
		field := d.layer.fields[0][lo*d.layer.other+i] + d.layer.fields[1][hi*d.layer.other+i]
		v[i] = -1
		if uniform() < 1/(1+math.Exp(-2*field)) {
			v[i] = 1
		}
	}
}
