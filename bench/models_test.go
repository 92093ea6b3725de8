package bench

import (
	"context"
	"testing"

	"kadanoff/backend/ref"
)

func TestHopfieldRecall(t *testing.T) {
	bad := func(f faulty) (names []string) {
		results, err := hopfieldRecall(context.Background(), &Target{Backend: f, Name: "ref", Threads: 1, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		if len(results) != 4 {
			t.Fatalf("%d results, want 4", len(results))
		}
		for _, r := range results {
			if !r.Pass() {
				names = append(names, r.Name)
			}
		}
		return names
	}
	if names := bad(faulty{Backend: ref.Backend{}}); len(names) != 0 {
		t.Errorf("%v fail on the reference", names)
	}
	// The strongest weight has the wrong sign.
	if names := bad(faulty{Backend: ref.Backend{}, weight: -1}); len(names) < 2 {
		t.Errorf("only %v fail with a wrong weight", names)
	}
}
