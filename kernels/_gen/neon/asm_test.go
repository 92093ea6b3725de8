package neon

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every word of the generated files is what llvm-mc makes of the instruction
// that stands beside it.
func TestEncodings(t *testing.T) {
	mc, err := exec.LookPath("llvm-mc")
	if err != nil {
		t.Skip("llvm-mc is not installed")
	}
	files, err := filepath.Glob("../../*/*_arm64.s")
	if err != nil || len(files) == 0 {
		t.Fatalf("no assembly: %v", err)
	}
	seen := map[string]uint32{}
	var lines []string
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			var w uint32
			if _, err := fmt.Sscanf(strings.TrimSpace(s.Text()), "WORD $0x%x", &w); err != nil {
				continue
			}
			_, text, ok := strings.Cut(s.Text(), "// ")
			if !ok {
				t.Fatalf("%s: a word without its instruction: %s", name, s.Text())
			}
			if old, ok := seen[text]; ok && old != w {
				t.Errorf("%s is %08x and %08x", text, old, w)
			} else if !ok {
				seen[text] = w
				lines = append(lines, text)
			}
		}
	}
	cmd := exec.Command(mc, "-triple=aarch64", "-mattr=+v8a", "-show-encoding")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("llvm-mc: %v\n%s", err, stderr.String())
	}
	found := regexp.MustCompile(`encoding: \[0x(..),0x(..),0x(..),0x(..)\]`).FindAllSubmatch(out, -1)
	if len(found) != len(lines) {
		t.Fatalf("llvm-mc encodes %d of %d instructions\n%s", len(found), len(lines), stderr.String())
	}
	for i, m := range found {
		var b [4]byte
		for k := range b {
			fmt.Sscanf(string(m[k+1]), "%x", &b[k])
		}
		if want := binary.LittleEndian.Uint32(b[:]); seen[lines[i]] != want {
			t.Errorf("%s is %08x, want %08x", lines[i], seen[lines[i]], want)
		}
	}
	t.Logf("%d different instructions", len(lines))
}
