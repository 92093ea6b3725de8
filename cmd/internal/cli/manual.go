package cli

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newManual returns the hidden command that writes what a release has beside
// the program, all from the tree of commands.
func newManual(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "manual DIR",
		Short: "Write man pages and shell completions",
		Long: "Writes DIR/man1/*.1 and DIR/completions/ for bash, zsh and fish. The pages carry the date that\n" +
			"SOURCE_DATE_EPOCH names, or today's.",
		Example: "  " + root.Name() + " manual share",
		Hidden:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return Usage("want one folder to write to")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return writeManual(root, args[0]) },
	}
}

func writeManual(root *cobra.Command, dir string) error {
	man, completions := filepath.Join(dir, "man1"), filepath.Join(dir, "completions")
	for _, d := range []string{man, completions} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	header := &doc.GenManHeader{Section: "1", Source: "Kadanoff " + Version(), Manual: "Kadanoff"}
	if err := doc.GenManTree(root, header, man); err != nil {
		return err
	}
	if err := root.GenBashCompletionFileV2(filepath.Join(completions, root.Name()+".bash"), true); err != nil {
		return err
	}
	if err := root.GenZshCompletionFile(filepath.Join(completions, "_"+root.Name())); err != nil {
		return err
	}
	return root.GenFishCompletionFile(filepath.Join(completions, root.Name()+".fish"), true)
}
