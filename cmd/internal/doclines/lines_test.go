package doclines

import (
	"slices"
	"testing"
)

const page = "Say `kadanoff info FILE` or `go run ./cmd/rbmbench --quick`, not `make`.\n" +
	"```\nbin/kadanoff solve --k 1 \\\n    --hidden 2   # two\n$ rbmbench\nmake kadanoff\nls kadanoff\n```\n" +
	"    mpirun --bind-to none -n 4 kadanoff train x\n" +
	"```yaml\n  - kadanoff merge part-*.json\n```\nkadanoff is no command here\n"

func TestFind(t *testing.T) {
	want := []Line{
		{"p", 1, "kadanoff info FILE", true}, {"p", 1, "rbmbench --quick", true},
		{"p", 3, "kadanoff solve --k 1 --hidden 2   # two", false}, {"p", 5, "rbmbench", false},
		{"p", 9, "kadanoff train x", false}, {"p", 11, "kadanoff merge part-*.json", false},
	}
	if got := Find("p", page); !slices.Equal(got, want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
}

func TestSplit(t *testing.T) {
	env := map[string]string{"ID": "7"}
	for line, want := range map[string][]string{
		`a  b --c 'd  $ID' "$ID/10" x$ID`: {"a", "b", "--c", "d  $ID", "7/10", "x7"},
		`a # b`:                           {"a"},
		`a b#c ""`:                        {"a", "b#c", ""},
	} {
		if got, output, err := Split(line, env); err != nil || output != "" || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %q, %v; want %q", line, got, output, err, want)
		}
	}
	if got, output, err := Split("a b > c.json", env); err != nil || output != "c.json" || len(got) != 2 {
		t.Errorf("redirection: %q, %q, %v", got, output, err)
	}
	for _, bad := range []string{"a | b", "a; b", "a > ", "a '", "a $NONE", "a $(b)"} {
		if got, _, err := Split(bad, env); err == nil {
			t.Errorf("%s is read as %q", bad, got)
		}
	}
}
