package bench

import (
	"context"
	"testing"

	"kadanoff/backend"
	"kadanoff/backend/ref"
	"kadanoff/kernels/isa"
)

// overtrained is a backend whose trainers make one sweep more than they are
// asked for.
type overtrained struct{ ref.Backend }

func (o overtrained) NewTrainer(spec backend.TrainerSpec) (backend.Trainer, error) {
	spec.K++
	return o.Backend.NewTrainer(spec)
}

func trainTarget(b backend.Backend) *Target {
	return &Target{Backend: b, Name: "ref", ISA: "scalar", Level: isa.Generic, Threads: 1, Seed: 1, Size: Quick}
}

// decaying is a backend whose trainers let weights decay though nobody asks for
// it.
type decaying struct{ ref.Backend }

func (d decaying) NewTrainer(spec backend.TrainerSpec) (backend.Trainer, error) {
	t, err := d.Backend.NewTrainer(spec)
	return decayingTrainer{t}, err
}

// warm is a backend whose chains are at another temperature.
type warm struct{ ref.Backend }

func (w warm) NewTrainer(spec backend.TrainerSpec) (backend.Trainer, error) {
	spec.Temperatures = []float64{1.5}
	return w.Backend.NewTrainer(spec)
}

type decayingTrainer struct{ backend.Trainer }

func (d decayingTrainer) Update(u backend.Update) error {
	u.WeightDecay = 0.1
	return d.Trainer.Update(u)
}

// The checks of training pass on the reference backend.
func TestTrainingChecks(t *testing.T) {
	for _, c := range training().Checks {
		results, err := c.Run(context.Background(), trainTarget(ref.New()))
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		for i := range results {
			if !results[i].Pass() {
				t.Errorf("%+v fails", results[i])
			}
		}
	}
}

// A sweep too many, a perturbed weight: the checks see them.
func TestTrainingChecksSee(t *testing.T) {
	results, err := fixedPoint(context.Background(), trainTarget(overtrained{}), 1)
	if err != nil {
		t.Fatal(err)
	}
	if results[0].Pass() {
		t.Errorf("CD-2 passes as CD-1: %+v", results[0])
	}
	results, err = boltzmannGradient(context.Background(), trainTarget(faulty{weight: 1.2}))
	if err != nil {
		t.Fatal(err)
	}
	if results[0].Pass() {
		t.Errorf("a machine with its strongest weight 20 %% off passes: %+v", results[0])
	}
	for name, on := range map[string]backend.Backend{
		"train/gradient-5x3": warm{}, "train/ring-8x4/cd-1": overtrained{}, "train/ring-8x4/pcd-2": decaying{}, "train/kl-ring-6": decaying{},
	} {
		for _, c := range learningChecks() {
			if c.Name != name {
				continue
			}
			results, err := c.Run(context.Background(), trainTarget(on))
			if err != nil {
				t.Fatal(err)
			}
			if results[0].Pass() {
				t.Errorf("%s passes on %T: %+v", name, on, results[0])
			}
		}
	}
	for _, c := range training().Checks {
		if c.Name != "train/digest/cd-7x5" {
			continue
		}
		results, err := c.Run(context.Background(), trainTarget(overtrained{}))
		if err != nil {
			t.Fatal(err)
		}
		if results[0].Pass() {
			t.Error("a sweep too many has the golden digest")
		}
	}
}
