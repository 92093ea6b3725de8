package main

import (
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"kadanoff/cmd/internal/cli"
)

// finiteList reads a comma-separated list of finite numbers given to a flag.
func finiteList(flag, text string) ([]float64, error) {
	var list []float64
	for part := range strings.SplitSeq(text, ",") {
		x, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, cli.Usage("--%s %q: want finite numbers separated by commas", flag, text)
		}
		list = append(list, x)
	}
	return list, nil
}

// requireFinite refuses NaN and infinity in float64 flags, 0 where the flag
// was not given included.
func requireFinite(cmd *cobra.Command, flags ...string) error {
	for _, name := range flags {
		x, err := cmd.Flags().GetFloat64(name)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return cli.Usage("--%s %v: want a finite number", name, x)
		}
	}
	return nil
}

// requireGiven names the flags that are needed and were not given.
func requireGiven(cmd *cobra.Command, flags ...string) error {
	var lacking []string
	for _, name := range flags {
		if !cmd.Flags().Changed(name) {
			lacking = append(lacking, "--"+name)
		}
	}
	if len(lacking) > 0 {
		return cli.Usage("%s needs %s", cmd.CommandPath(), strings.Join(lacking, " and "))
	}
	return nil
}

// maxSteps bounds the length of a printed flow.
const maxSteps = 1_000_000

func requireSteps(steps int) error {
	if steps < 0 || steps > maxSteps {
		return cli.Usage("--steps %d: want 0 to %d", steps, maxSteps)
	}
	return nil
}
