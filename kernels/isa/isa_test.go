package isa

import (
	"errors"
	"testing"
)

func TestParse(t *testing.T) {
	t.Setenv(EnvVar, "")
	for _, l := range Available() {
		if got, err := Parse(l.String()); err != nil || got != l {
			t.Errorf("Parse(%q) = %v, %v", l, got, err)
		}
		if m := Missing(l); m != "" {
			t.Errorf("Missing(%v) = %q for an available level", l, m)
		}
	}
	if got, err := Parse("auto"); err != nil || got != Best() {
		t.Errorf("Parse(auto) = %v, %v, want %v", got, err, Best())
	}
	t.Setenv(EnvVar, "generic")
	if got, err := Parse(""); err != nil || got != Generic {
		t.Errorf("with %s=generic Parse gives %v, %v", EnvVar, got, err)
	}
	if _, err := Parse("sse9"); err == nil {
		t.Error("Parse(sse9) has no error")
	}
	for l := range numLevels {
		if Has(l) {
			continue
		}
		_, err := Parse(l.String())
		var missing *MissingError
		if !errors.As(err, &missing) || missing.Level != l {
			t.Errorf("Parse(%v) on a machine without it: %v, want a MissingError", l, err)
		}
	}
}
