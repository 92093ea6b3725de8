// Package isa names the instruction sets that kernels are written for and
// finds out which of them this machine has.
//
// A kernel package keeps one table of its paths, keyed by Level, and asks
// nothing else of the machine: a level is present only when every feature bit
// listed for it here is, so a path that stays within its level's features can
// be called as soon as Has reports true.
package isa

import (
	"fmt"
	"os"
	"strings"

	"github.com/klauspost/cpuid/v2"
)

// Level is an instruction set. The zero value, Generic, is plain Go and is
// present everywhere.
type Level uint8

// The instruction sets, weakest first within an architecture.
const (
	Generic Level = iota // plain Go
	AVX2                 // amd64: AVX2, FMA, BMI1, BMI2, LZCNT, MOVBE (x86-64-v3)
	AVX512               // amd64: AVX2 and AVX-512 F, CD, BW, DQ, VL (x86-64-v4)
	NEON                 // arm64: Advanced SIMD
	numLevels
)

var names = [numLevels]string{"generic", "avx2", "avx512", "neon"}

// needs lists the feature bits that each level's kernels may use.
var needs = [numLevels][]cpuid.FeatureID{
	AVX2: {cpuid.AVX, cpuid.AVX2, cpuid.FMA3, cpuid.BMI1, cpuid.BMI2, cpuid.LZCNT, cpuid.MOVBE, cpuid.POPCNT},
	AVX512: {
		cpuid.AVX, cpuid.AVX2, cpuid.FMA3, cpuid.BMI1, cpuid.BMI2, cpuid.LZCNT, cpuid.MOVBE, cpuid.POPCNT,
		cpuid.AVX512F, cpuid.AVX512CD, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL,
	},
	NEON: {cpuid.ASIMD},
}

// EnvVar names the environment variable that forces a level for a whole
// process, as --isa does for one command: generic, avx2, avx512, neon or auto.
const EnvVar = "KADANOFF_ISA"

// String returns the level's name as --isa takes it.
func (l Level) String() string {
	if l < numLevels {
		return names[l]
	}
	return fmt.Sprintf("isa(%d)", uint8(l))
}

// Has reports whether this build and this machine can run kernels of level l.
func Has(l Level) bool {
	if l == Generic {
		return true
	}
	return l < numLevels && compiled(l) && cpuid.CPU.Supports(needs[l]...)
}

// HasFeature reports whether the machine has every one of the features, for
// kernels that use some beyond their level (and have a fallback within it).
func HasFeature(f ...cpuid.FeatureID) bool { return cpuid.CPU.Supports(f...) }

// Levels lists all instruction sets, present here or not.
func Levels() []Level {
	ls := make([]Level, numLevels)
	for l := range numLevels {
		ls[l] = l
	}
	return ls
}

// Available lists the levels that Has reports, weakest first.
func Available() []Level {
	var ls []Level
	for l := range numLevels {
		if Has(l) {
			ls = append(ls, l)
		}
	}
	return ls
}

// Best returns the strongest available level.
func Best() Level {
	ls := Available()
	return ls[len(ls)-1]
}

// Parse turns the value of --isa into a level. "auto" and "" mean the value of
// the environment variable EnvVar if it is set, else Best. A level that exists
// but cannot run here is a *MissingError, an unknown name a plain error.
func Parse(s string) (Level, error) {
	from := "--isa"
	if s == "" || s == "auto" {
		if s = os.Getenv(EnvVar); s == "" || s == "auto" {
			return Best(), nil
		}
		from = EnvVar
	}
	for l, name := range names {
		if s == name {
			if !Has(Level(l)) {
				return 0, &MissingError{Level: Level(l), From: from}
			}
			return Level(l), nil
		}
	}
	return 0, fmt.Errorf("%s %q: want auto, %s", from, s, strings.Join(names[:], ", "))
}

// Missing says in a few words why level l cannot run here; it is empty when
// it can.
func Missing(l Level) string {
	switch {
	case Has(l):
		return ""
	case l >= numLevels:
		return "unknown instruction set"
	case !compiled(l):
		return "not compiled into this build"
	}
	var lack []string
	for _, f := range needs[l] {
		if !cpuid.CPU.Supports(f) {
			lack = append(lack, f.String())
		}
	}
	return "this CPU lacks " + strings.Join(lack, ", ")
}

// MissingError reports an instruction set that was asked for and cannot run
// on this machine.
type MissingError struct {
	Level Level
	From  string // the flag or variable that asked for it
}

func (e *MissingError) Error() string {
	var have []string
	for _, l := range Available() {
		have = append(have, l.String())
	}
	return fmt.Sprintf("%s %s: %s; this machine can run %s", e.From, e.Level, Missing(e.Level), strings.Join(have, ", "))
}
