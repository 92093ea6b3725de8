package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// build is one way of compiling the commands.
type build struct {
	arch   string
	static bool
}

// targets names architectures and the glibc whose symbols are linked against as
// the C compiler does.
var targets = map[string]string{
	"amd64": "x86_64-linux-gnu." + glibc,
	"arm64": "aarch64-linux-gnu." + glibc,
}

// glibc is the oldest one on which the builds with CUDA start.
const glibc = "2.28"

func (b build) name(version string) string {
	name := "kadanoff-" + version + "-linux-" + b.arch
	if b.static {
		name += "-static"
	}
	return name
}

// tags returns the build tags: without MPI nothing is loaded at run time, and
// the binary has no dynamic linker.
func (b build) tags() string {
	if b.static {
		return "nompi"
	}
	return "gpu"
}

// environment returns the variables that the go command builds with.
func (b build) environment(tools string) ([]string, error) {
	env := append(os.Environ(), "GOOS=linux", "GOARCH="+b.arch, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOEXPERIMENT=")
	if b.static {
		return append(env, "CGO_ENABLED=0"), nil
	}
	zig, err := output(exec.Command("cmd/internal/release/zig", filepath.Join(tools, "zig")))
	if err != nil {
		return nil, err
	}
	header, err := output(exec.Command("backend/cuda/header", filepath.Join(tools, "cuda", "include")))
	if err != nil {
		return nil, err
	}
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	cache := filepath.Join(tools, "zig-cache")
	return append(env, "CGO_ENABLED=1",
		"CC="+quoted(filepath.Join(root, "cmd/internal/release/cc"), zig, targets[b.arch]),
		"CGO_CFLAGS="+quoted("-O2", "-I"+filepath.Join(root, "backend/cuda/compat"), "-I"+header),
		"CGO_LDFLAGS="+quoted("-O2", "-L"+filepath.Join(root, "backend/cuda/link")),
		"ZIG_GLOBAL_CACHE_DIR="+cache, "ZIG_LOCAL_CACHE_DIR="+cache,
	), nil
}

// quoted joins words as the go command splits them.
func quoted(words ...string) string {
	for i, w := range words {
		words[i] = "'" + w + "'"
	}
	return strings.Join(words, " ")
}

// flags returns the arguments of go build. No path of the machine is in a
// binary: neither of its sources nor, in the build ID, of the compiler.
func (r *release) flags(b build) []string {
	return []string{"-trimpath", "-buildvcs=false", "-tags", b.tags(),
		"-ldflags", "-s -w -buildid= -X kadanoff/cmd/internal/cli.version=" + r.version}
}

// compile builds the commands into a folder.
func (r *release) compile(b build, dir string) error {
	env, err := b.environment(r.tools)
	if err != nil {
		return err
	}
	args := append([]string{"build", "-o", dir + "/"}, r.flags(b)...)
	for _, c := range commands {
		args = append(args, "./cmd/"+c)
	}
	cmd := exec.Command("go", args...)
	cmd.Env = env
	_, err = output(cmd)
	return err
}

// manual has the commands write their man pages and completions, built for this
// machine.
func (r *release) manual(dir string) error {
	b := build{arch: runtime.GOARCH, static: true}
	for _, c := range commands {
		cmd := exec.Command("go", append(append([]string{"run"}, r.flags(b)...), "./cmd/"+c, "manual", dir)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "SOURCE_DATE_EPOCH="+r.stamp())
		if _, err := output(cmd); err != nil {
			return err
		}
	}
	return nil
}
