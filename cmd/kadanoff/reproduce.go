package main

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"kadanoff/cmd/internal/cli"
	"kadanoff/cmd/internal/document"
	"kadanoff/cmd/internal/reproduce"
)

func init() { register(newReproduce) }

func newReproduce(o *cli.Options) *cobra.Command {
	var out string
	var quick bool
	cmd := &cobra.Command{
		Use:   "reproduce",
		Short: "Every figure and table of the thesis, and what lies beyond",
		Long: "Computes every figure and table of the thesis, and what lies beyond, and writes them to --out:\n" +
			"index.html, figures/*.svg and *.png, tables/*.json. The page opens without a network.\n" +
			"At the end stand the experiments of kadanoff experiment ring and, smaller, kadanoff experiment iso.",
		Example: "  kadanoff reproduce --out thesis\n  kadanoff reproduce --out thesis --quick",
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return cli.Usage("kadanoff reproduce needs --out: a folder to write to")
			}
			if err := document.Check(out); err != nil {
				return outError(cmd.Context(), out, err)
			}
			r, err := reproduce.Build(cmd.Context(), reproduce.Options{
				Quick: quick, Seed: o.Seed, Threads: o.Threads, Open: experimentOptions(cmd, o, out).Open,
			})
			if err != nil {
				return err
			}
			sum, err := r.Write(out)
			if err != nil {
				return outError(cmd.Context(), out, err)
			}
			return o.Print(cmd, sum)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "folder to write to")
	cmd.Flags().BoolVar(&quick, "quick", false, "coarser grids and smaller lattices, in seconds")
	return cmd
}

// outError names the flag and the reason, without the names of working files.
func outError(ctx context.Context, out string, err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		err = path.Err
	case errors.As(err, &link):
		err = link.Err
	default:
		return cli.Usage("--out %w", err)
	}
	if cli.ExitCode(ctx, err) == cli.CannotFinish {
		return cli.Unfinished("--out %s: %w", out, err)
	}
	return cli.Usage("--out %s: cannot be written: %w", out, err)
}
