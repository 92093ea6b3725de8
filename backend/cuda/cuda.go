//go:build gpu && cgo

package cuda

import (
	"cmp"
	"errors"
	"fmt"

	"kadanoff/backend"
	kernels "kadanoff/kernels/cuda"
	"kadanoff/kernels/roots"
)

func init() {
	backend.Register(backend.Driver{
		Name:     "cuda",
		Priority: 20,
		Open:     func(o backend.Options) (backend.Backend, error) { return New(o) },
		Devices:  devices,
	})
}

// Advice is what a user of this machine should know who did not name a
// backend; empty if nothing.
func Advice() string { return "" }

// Backend does its jobs on GPUs and leaves some of them, or parts, to the CPU.
type Backend struct {
	backend.Backend // of the CPU
	devices         []*device
	auto            bool
	tables          roots.Tables
}

// New opens device o.Device, or with o.All all devices that can be used. One
// that was asked for and cannot be used, or none at all, is a
// *backend.MissingError.
func New(o backend.Options) (*Backend, error) {
	if o.Device < 0 {
		return nil, fmt.Errorf("device %d, want 0 or more", o.Device)
	}
	numbers := []int{o.Device}
	if o.All {
		n, _ := count()
		for i := range max(n, 1) {
			numbers = append(numbers[:i], i)
		}
	}
	b := &Backend{auto: o.Auto}
	var unusable error
	for _, n := range numbers {
		d, err := openDevice(n)
		if missing := (*backend.MissingError)(nil); errors.As(err, &missing) {
			unusable = cmp.Or(unusable, err)
			continue
		}
		if err != nil {
			return nil, cmp.Or(err, b.closeDevices())
		}
		b.devices = append(b.devices, d)
	}
	if len(b.devices) == 0 {
		return nil, unusable
	}
	var err error
	if b.Backend, err = backend.Open("cpu", o); err != nil {
		return nil, cmp.Or(err, b.closeDevices())
	}
	return b, nil
}

func (b *Backend) closeDevices() error {
	var errs []error
	for _, d := range b.devices {
		errs = append(errs, d.Close())
	}
	return cmp.Or(errs...)
}

// note is which jobs do not run on the device.
const note = "the CPU does k lowest states, branch and bound, moments by enumeration, tables and residuals of roots"

// Info describes the device.
func (b *Backend) Info() backend.Info {
	i, host := b.devices[0].info, b.Backend.Info()
	if n := len(b.devices); n > 1 {
		i.Device = fmt.Sprintf("%d × %s", n, i.Device)
		for _, d := range b.devices[1:] {
			i.Memory += d.info.Memory
		}
	}
	i.Threads = host.Threads
	i.Note = note + fmt.Sprintf(" (%s)", host.ISA)
	return i
}

// NewSampler starts chains on the device, or spreads them over several. A backend that was chosen
// automatically leaves those to the CPU that it would finish sooner.
func (b *Backend) NewSampler(spec backend.SamplerSpec) (backend.Sampler, error) {
	if err := spec.Check(); err != nil {
		return nil, err
	}
	couplings := 0
	for k := range spec.Network.Blocks {
		couplings += len(spec.Network.Blocks[k].W)
	}
	if b.auto && !b.worthwhile(couplings, spec.Chains) {
		return b.Backend.NewSampler(spec)
	}
	return newSpread(b.devices, spec)
}

// NewTrainer starts training on the first device, or on all if a step is long
// enough. A backend that was chosen automatically leaves to the CPU what it would
// finish sooner.
func (b *Backend) NewTrainer(spec backend.TrainerSpec) (backend.Trainer, error) {
	if err := spec.Check(); err != nil {
		return nil, err
	}
	chains := spec.Chains * max(1, len(spec.Temperatures))
	if spec.Algorithm == backend.CD {
		chains = typicalBatch
	}
	if !trainable(&spec) || b.auto && !b.worthwhile(len(spec.Model.Blocks[0].W), chains) {
		return b.Backend.NewTrainer(spec)
	}
	if work := chains * spec.K; len(b.devices) > 1 && work >= splitWork {
		return newTrainers(b.devices, spec, kernels.BlockChains)
	}
	return newTrainer(b.devices[0], spec)
}

// typicalBatch stands for the batch of contrastive divergence, which is not
// known beforehand.
const typicalBatch = 100

// worthwhile reports whether a sweep is long enough for the launches of its
// kernels to be short beside it: 2²² couplings × chains for each thread that
// the CPU has, where it takes tens of microseconds (docs/gpu.md).
func (b *Backend) worthwhile(couplings, chains int) bool {
	return int64(couplings)*int64(chains) >= int64(b.Backend.Info().Threads)<<22
}

// Close frees the devices. Samplers and trainers must be closed first.
func (b *Backend) Close() error { return cmp.Or(b.closeDevices(), b.Backend.Close()) }

// devices lists the GPUs of this machine, or why there are none.
func devices() []backend.Info {
	n, why := count()
	if why != "" {
		return []backend.Info{{Backend: "cuda", Missing: why}}
	}
	list := make([]backend.Info, n)
	for i := range list {
		info, _, err := probe(i)
		if err != nil {
			info.Missing = err.Error()
		}
		if info.Missing == "" {
			info.Note = note
		}
		list[i] = info
	}
	return list
}
