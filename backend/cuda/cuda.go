//go:build gpu && cgo

package cuda

import (
	"fmt"

	"kadanoff/backend"
)

func init() {
	backend.Register(backend.Driver{
		Name:     "cuda",
		Priority: 20,
		Open:     func(o backend.Options) (backend.Backend, error) { return New(o) },
		Devices:  devices,
	})
}

// Backend samples and trains on a GPU and leaves the other jobs to the CPU.
type Backend struct {
	backend.Backend // of the CPU
	device          *device
	auto            bool
}

// New opens device o.Device. A device that cannot be used is a
// *backend.MissingError.
func New(o backend.Options) (*Backend, error) {
	if o.Device < 0 {
		return nil, fmt.Errorf("device %d, want 0 or more", o.Device)
	}
	d, err := openDevice(o.Device)
	if err != nil {
		return nil, err
	}
	host, err := backend.Open("cpu", o)
	if err != nil {
		_ = d.Close()
		return nil, err
	}
	return &Backend{Backend: host, device: d, auto: o.Auto}, nil
}

// Info describes the device.
func (b *Backend) Info() backend.Info {
	i, host := b.device.info, b.Backend.Info()
	i.Threads = host.Threads
	i.Note = fmt.Sprintf("samples and trains on the device; all other jobs run on the CPU (%s)", host.ISA)
	return i
}

// NewSampler starts chains on the device. A backend that was chosen
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
	return newSampler(b.device, spec)
}

// NewTrainer starts training on the device, but for tied weights. A backend
// that was chosen automatically leaves to the CPU what it would finish sooner.
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
	return newTrainer(b.device, spec)
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

// Close frees the device. Its samplers must be closed first.
func (b *Backend) Close() error {
	err := b.Backend.Close()
	if derr := b.device.Close(); derr != nil {
		return derr
	}
	return err
}

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
		list[i] = info
	}
	return list
}
