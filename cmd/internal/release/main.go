// Command release makes the archives of a release in a folder: for each
// architecture one with CUDA and MPI found at run time, for any glibc from 2.28
// on, and a static one without either, with checksums and lists of what is in
// them. The same commit gives the same bytes.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	r := release{}
	arches := flag.String("arch", "amd64,arm64", "architectures, separated by commas")
	flag.StringVar(&r.out, "out", "dist", "folder of the archives")
	flag.StringVar(&r.version, "version", "", "version (default from git)")
	flag.StringVar(&r.tools, "tools", ".tools", "folder of the compiler and CUDA's header, fetched if they are not there")
	flag.Parse()
	r.arches = strings.Split(*arches, ",")
	if err := r.run(); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// release is what the archives of all builds have in common.
type release struct {
	out, version, tools string
	arches              []string
	time                time.Time // of the commit, or SOURCE_DATE_EPOCH
}

// commands are the programs of an archive.
var commands = []string{"kadanoff", "rbmbench"}

func (r *release) run() error {
	if err := r.describe(); err != nil {
		return err
	}
	var builds []build
	for _, arch := range r.arches {
		if targets[arch] == "" {
			return fmt.Errorf("-arch %s: want amd64 or arm64", arch)
		}
		builds = append(builds, build{arch: arch}, build{arch: arch, static: true})
	}
	var err error
	if r.out, err = filepath.Abs(r.out); err != nil {
		return err
	}
	if r.tools, err = filepath.Abs(r.tools); err != nil {
		return err
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	manual, err := os.MkdirTemp("", "kadanoff-manual-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(manual)
	if err := r.manual(manual); err != nil {
		return err
	}
	var made []string
	for _, b := range builds {
		files, err := r.archive(b, manual)
		if err != nil {
			return fmt.Errorf("%s: %w", b.name(r.version), err)
		}
		for _, f := range files {
			fmt.Println(filepath.Join(r.out, f))
		}
		made = append(made, files...)
	}
	return checksums(r.out, made)
}

// describe finds version and time of the source. Git is asked for what neither
// the flag nor SOURCE_DATE_EPOCH says.
func (r *release) describe() error {
	if r.version == "" {
		v, err := output(exec.Command("git", "describe", "--tags", "--always", "--dirty"))
		if err != nil {
			return fmt.Errorf("no -version, and none from git: %w", err)
		}
		if !strings.HasPrefix(v, "v") {
			v = "v0.0.0-" + v // no tag yet
		}
		r.version = v
	}
	stamp := os.Getenv("SOURCE_DATE_EPOCH")
	if stamp == "" {
		var err error
		if stamp, err = output(exec.Command("git", "log", "-1", "--format=%ct")); err != nil {
			return fmt.Errorf("no SOURCE_DATE_EPOCH, and no time from git: %w", err)
		}
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH=%s: want seconds since 1970", stamp)
	}
	r.time = time.Unix(seconds, 0).UTC()
	return nil
}

// output runs a command and returns what it wrote, without the last line's end.
func output(cmd *exec.Cmd) (string, error) {
	if cmd.Stderr == nil {
		cmd.Stderr = os.Stderr
	}
	text, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(cmd.Args[:min(3, len(cmd.Args))], " "), err)
	}
	return strings.TrimSuffix(string(text), "\n"), nil
}
