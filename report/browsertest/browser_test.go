package browsertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recorder keeps the errors of a test.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

const (
	head = `<!DOCTYPE html><meta name="viewport" content="width=device-width"><style>
body { background: #fff; color: #111; } @media (prefers-color-scheme: dark) { body { background: #111; color: #eee; } }</style>`
	plot = `<figure><svg viewBox="0 0 200 100" width="300"><text x="10" y="50" fill="currentColor">0.5</text>
<text x="100" y="50" fill="currentColor">x</text><path d="M0 0L9 9"/><path d="M0 9L9 0"/></svg></figure>`
)

// A good page passes, and each fault is seen.
func TestBrowserChecks(t *testing.T) {
	b := Start(t)
	for name, c := range map[string][2]string{ // page, what is said of it
		"good":     {head + plot, ""},
		"request":  {head + plot + `<img src="http://127.0.0.1:1/x.png" alt="">`, "127.0.0.1"},
		"console":  {head + plot + `<script>console.error("broken here")</script>`, "broken here"},
		"throws":   {head + plot + `<script>nothing.at.all()</script>`, "nothing is not defined"},
		"wide":     {head + plot + `<div style="width: 3000px">far</div>`, "wide in a window"},
		"light":    {strings.Replace(head, "body { background: #111; color: #eee; }", "", 1) + plot, "the ground has"},
		"cut off":  {head + strings.Replace(plot, `x="10"`, `x="-30"`, 1), "cut off: 0.5"},
		"faint":    {head + strings.Replace(plot, "currentColor", "#888", 1), "faint: 0.5"},
		"overlap":  {head + strings.Replace(plot, `x="100"`, `x="12"`, 1), "texts overlap"},
		"hidden":   {head + strings.Replace(plot, "<svg", `<svg style="display: none"`, 1), "0 by 0"},
		"empty":    {head + `<figure><svg viewBox="0 0 200 100" width="300"></svg></figure>`, "is empty"},
		"no plot":  {head + plot + `<figure></figure>`, "1 figures without a plot"},
		"no value": {head + plot + `<p>NaN m/s</p>`, "shows NaN"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "page.html")
			if err := os.WriteFile(file, []byte(c[0]), 0o666); err != nil {
				t.Fatal(err)
			}
			r := &recorder{TB: t}
			b.Check(r, file)
			all := strings.Join(r.errors, "\n")
			if c[1] == "" && all != "" {
				t.Errorf("a good page: %s", all)
			}
			if !strings.Contains(all, c[1]) {
				t.Errorf("found %q, want %q", all, c[1])
			}
		})
	}
}
