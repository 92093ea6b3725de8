package main

import (
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"kadanoff/cmd/internal/cli"
	"kadanoff/exact"
)

func init() { register(newSolve) }

type solveFlags struct {
	visible, hidden, points int
	k, t, lattice, out      string
	kMin, kMax, tMin, tMax  float64
	logarithmic             bool
	shard                   cli.Shard
}

// solveRow is a line of the result; K is missing for a range of temperatures.
type solveRow struct {
	Visible  int       `json:"visible"`
	Hidden   int       `json:"hidden"`
	Lattice  string    `json:"lattice,omitempty"`
	K        *float64  `json:"k,omitempty"`
	T        *float64  `json:"t,omitempty"`
	TMin     *float64  `json:"t_min,omitempty"`
	TMax     *float64  `json:"t_max,omitempty"`
	W        cli.Float `json:"w"`
	Residual cli.Float `json:"residual"`
}

const maxPoints = 10_000_000

func newSolve(o *cli.Options) *cobra.Command {
	var s solveFlags
	cmd := &cobra.Command{
		Use:   "solve",
		Short: "W from K or T: the uniform RBM closest to a ring or torus",
		Long: "The weight W > 0 of the uniform RBM that is closest, in Kullback-Leibler divergence, to an Ising ring\n" +
			"or torus at coupling K = 1/T, or to one over a range of temperatures (T = 0 may be in the range).\n" +
			"W is 0 for K ≤ 0. The residual is f(W) − g(W, K) at the W that is printed.\n" +
			"Up to 256 by 1024 units the backend solves in bulk; beyond, and where K or a weight leaves its range, big floats do.\n" +
			"With --shard the result is a part of the rows; kadanoff merge puts the parts together.",
		Example: "  kadanoff solve --visible 8 --hidden 4 --k 0.5,1\n" +
			"  kadanoff solve --visible 64 --hidden 16 --k-min 0.1 --k-max 2 --points 20 --format csv\n" +
			"  kadanoff solve --visible 8 --hidden 4 --t-min 0 --t-max 6\n" +
			"  kadanoff solve --hidden 8 --lattice torus:4 --t 2,2.5\n" +
			"  kadanoff solve --visible 64 --hidden 16 --k-min 0.1 --k-max 2 --points 1000000 --shard 0/2 --out part0.json",
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			result, err := s.run(cmd, o)
			if err != nil {
				return err
			}
			return writeResult(cmd, o, s.out, result)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.IntVar(&s.visible, "visible", 0, "visible units, the spins of the lattice")
	f.IntVar(&s.hidden, "hidden", 0, "hidden units")
	f.StringVar(&s.lattice, "lattice", "ring", "ring, or torus:L with L×L spins (L up to 8)")
	f.StringVar(&s.k, "k", "", "couplings, separated by commas")
	f.StringVar(&s.t, "t", "", "temperatures, separated by commas")
	f.Float64Var(&s.kMin, "k-min", 0, "lowest of --points couplings")
	f.Float64Var(&s.kMax, "k-max", 0, "highest of --points couplings")
	f.IntVar(&s.points, "points", 0, "number of couplings from --k-min to --k-max")
	f.BoolVar(&s.logarithmic, "log", false, "space the couplings evenly in ln K")
	f.Float64Var(&s.tMin, "t-min", 0, "lower end of a range of temperatures, 0 or more")
	f.Float64Var(&s.tMax, "t-max", 0, "upper end of a range of temperatures")
	f.Var(&s.shard, "shard", cli.ShardHelp("the rows"))
	f.StringVar(&s.out, "out", "", "write the result to this file, as JSON")
	return cmd
}

// run returns the rows, or with --shard a part of them.
func (s *solveFlags) run(cmd *cobra.Command, o *cli.Options) (any, error) {
	rows, err := s.rows(cmd)
	if err != nil {
		return nil, err
	}
	density, err := s.density(cmd, &rows[0])
	if err != nil {
		return nil, err
	}
	if s.hidden < 1 || s.hidden > exact.MaxMatchHidden {
		return nil, cli.Usage("--hidden %d: want 1 to %d", s.hidden, exact.MaxMatchHidden)
	}
	lattice := rows[0].Lattice
	for i := range rows {
		rows[i].Visible, rows[i].Hidden, rows[i].Lattice = density.Visible(), s.hidden, lattice
	}
	b, err := openBackend(o)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	solver := rootSolver{backend: b, density: density, hidden: s.hidden, threads: o.Threads}
	if s.shard.Count == 0 {
		return rows, solver.solve(cmd.Context(), rows)
	}
	part, err := newSolvePart(rows, s.shard)
	if err != nil {
		return nil, err
	}
	return part, solver.solve(cmd.Context(), part.rows)
}

// density returns the states that the flags name.
func (s *solveFlags) density(cmd *cobra.Command, first *solveRow) (*exact.Density, error) {
	if err := requireGiven(cmd, "hidden"); err != nil {
		return nil, err
	}
	if s.lattice == "ring" {
		if err := requireGiven(cmd, "visible"); err != nil {
			return nil, err
		}
		if s.visible < 2 || s.visible > exact.MaxMatchVisible {
			return nil, cli.Usage("--visible %d: want 2 to %d", s.visible, exact.MaxMatchVisible)
		}
		return exact.RingDensity(s.visible)
	}
	side, ok := strings.CutPrefix(s.lattice, "torus:")
	l, err := strconv.Atoi(side)
	if !ok || err != nil || l < 2 || l > exact.MaxDensityTorus {
		return nil, cli.Usage("--lattice %q: want ring, or torus:L with L from 2 to %d", s.lattice, exact.MaxDensityTorus)
	}
	if cmd.Flags().Changed("visible") && s.visible != l*l {
		return nil, cli.Usage("--visible %d: %s has %d spins", s.visible, s.lattice, l*l)
	}
	first.Lattice = s.lattice
	return exact.TorusDensity(l)
}

// rows reads which couplings or temperatures are asked for.
func (s *solveFlags) rows(cmd *cobra.Command) ([]solveRow, error) {
	changed := cmd.Flags().Changed
	grid := changed("k-min") || changed("k-max") || changed("points")
	span := changed("t-min") || changed("t-max")
	ways := 0
	for _, way := range []bool{changed("k"), changed("t"), grid, span} {
		if way {
			ways++
		}
	}
	if ways != 1 {
		return nil, cli.Usage("kadanoff solve needs one of --k, --t, --k-min with --k-max and --points, or --t-min with --t-max")
	}
	if changed("log") && !grid {
		return nil, cli.Usage("--log goes with --k-min, --k-max and --points")
	}
	switch {
	case grid:
		return s.grid(cmd)
	case span:
		if err := requireGiven(cmd, "t-min", "t-max"); err != nil {
			return nil, err
		}
		if !(s.tMin >= 0) {
			return nil, cli.Usage("--t-min %v: want 0 or more", s.tMin)
		}
		if !(s.tMax > s.tMin) {
			return nil, cli.Usage("--t-max %v: want more than --t-min %v", s.tMax, s.tMin)
		}
		return []solveRow{{TMin: &s.tMin, TMax: &s.tMax}}, nil
	case changed("t"):
		list, err := finiteList("t", s.t)
		rows := make([]solveRow, len(list))
		for i, t := range list {
			if !(t > 0) {
				return nil, cli.Usage("--t %v: want temperatures above 0", t)
			}
			k := 1 / t
			rows[i] = solveRow{T: &list[i], K: &k}
		}
		return rows, err
	}
	list, err := finiteList("k", s.k)
	rows := make([]solveRow, len(list))
	for i := range list {
		rows[i].K = &list[i]
	}
	return rows, err
}

func (s *solveFlags) grid(cmd *cobra.Command) ([]solveRow, error) {
	if err := requireGiven(cmd, "k-min", "k-max", "points"); err != nil {
		return nil, err
	}
	if err := requireFinite(cmd, "k-min", "k-max"); err != nil {
		return nil, err
	}
	if !(s.kMax > s.kMin) {
		return nil, cli.Usage("--k-max %v: want more than --k-min %v", s.kMax, s.kMin)
	}
	if s.points < 2 || s.points > maxPoints {
		return nil, cli.Usage("--points %d: want 2 to %d", s.points, maxPoints)
	}
	if s.logarithmic && !(s.kMin > 0) {
		return nil, cli.Usage("--k-min %v: want more than 0 with --log", s.kMin)
	}
	rows, couplings := make([]solveRow, s.points), make([]float64, s.points)
	for i := range rows {
		x := float64(i) / float64(s.points-1)
		k := s.kMin + float64((s.kMax-s.kMin)*x)
		if s.logarithmic {
			k = s.kMin * math.Exp(float64(math.Log(s.kMax/s.kMin)*x))
		}
		if i == s.points-1 {
			k = s.kMax
		}
		couplings[i], rows[i].K = k, &couplings[i]
	}
	return rows, nil
}
