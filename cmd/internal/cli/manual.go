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
		Long: "Writes man pages and completions for bash, zsh and fish to where they are looked for below a share\n" +
			"folder. The pages carry the date that SOURCE_DATE_EPOCH names, or today's.",
		Example: "  " + root.Name() + " manual ~/.local/share",
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
	man := filepath.Join(dir, "man", "man1")
	bash := filepath.Join(dir, "bash-completion", "completions", root.Name())
	zsh := filepath.Join(dir, "zsh", "site-functions", "_"+root.Name())
	fish := filepath.Join(dir, "fish", "vendor_completions.d", root.Name()+".fish")
	for _, d := range []string{man, filepath.Dir(bash), filepath.Dir(zsh), filepath.Dir(fish)} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	header := &doc.GenManHeader{Section: "1", Source: "Kadanoff " + Version(), Manual: "Kadanoff"}
	if err := doc.GenManTree(root, header, man); err != nil {
		return err
	}
	if err := root.GenBashCompletionFileV2(bash, true); err != nil {
		return err
	}
	if err := root.GenZshCompletionFile(zsh); err != nil {
		return err
	}
	return root.GenFishCompletionFile(fish, true)
}
