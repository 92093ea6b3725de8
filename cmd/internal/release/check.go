package main

import (
	"debug/elf"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// check makes sure that the commands in a folder start where they are said to:
// a static one has no dynamic linker and needs no library, any other needs no
// symbol of a newer glibc.
func (b build) check(bin string) error {
	for _, c := range commands {
		if err := b.checkFile(filepath.Join(bin, c)); err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
	}
	return nil
}

var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

func (b build) checkFile(name string) error {
	f, err := elf.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if f.Machine != machines[b.arch] {
		return fmt.Errorf("%v is not %s", f.Machine, b.arch)
	}
	if b.static {
		for _, p := range f.Progs {
			if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
				return fmt.Errorf("%v: want a static binary", p.Type)
			}
		}
		return nil
	}
	needs, err := f.DynamicVersionNeeds()
	if err != nil {
		return err
	}
	if len(needs) == 0 {
		return fmt.Errorf("it needs no version of any library: want a binary with cgo")
	}
	for _, lib := range needs {
		for _, v := range lib.Needs {
			if newer(v.Dep, glibc) {
				return fmt.Errorf("%s of %s: want at most GLIBC_%s", v.Dep, lib.Name, glibc)
			}
		}
	}
	return nil
}

// newer reports whether GLIBC_a.b.c is beyond a version, or none of its
// versions at all.
func newer(symbol, than string) bool {
	v, ok := strings.CutPrefix(symbol, "GLIBC_")
	if !ok {
		return true
	}
	have, want := strings.Split(v, "."), strings.Split(than, ".")
	for i, h := range have {
		x, err := strconv.Atoi(h)
		if err != nil {
			return true
		}
		y := 0
		if i < len(want) {
			y, _ = strconv.Atoi(want[i]) // than is a constant
		}
		if x != y {
			return x > y
		}
	}
	return false
}
