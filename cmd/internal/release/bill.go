package main

import (
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The parts of a CycloneDX 1.5 bill of materials that are used here.
type (
	billOfMaterials struct {
		Schema     string      `json:"$schema"`
		Format     string      `json:"bomFormat"`
		Spec       string      `json:"specVersion"`
		Serial     string      `json:"serialNumber"`
		Version    int         `json:"version"`
		Metadata   metadata    `json:"metadata"`
		Components []component `json:"components"`
	}
	metadata struct {
		Timestamp string    `json:"timestamp"`
		Component component `json:"component"`
	}
	component struct {
		Type       string      `json:"type"`
		Ref        string      `json:"bom-ref"`
		Name       string      `json:"name"`
		Version    string      `json:"version"`
		Scope      string      `json:"scope,omitempty"`
		Hashes     []hash      `json:"hashes,omitempty"`
		PURL       string      `json:"purl"`
		Components []component `json:"components,omitempty"`
	}
	hash struct {
		Algorithm string `json:"alg"`
		Content   string `json:"content"`
	}
)

// bill lists the modules that the commands in a folder were built from, as they
// say themselves, with the SHA-256 that Go knows a module by (h1 of go.sum).
func (r *release) bill(b build, bin string) ([]byte, error) {
	purl := func(path, version string) string { return "pkg:golang/" + path + "@" + version }
	main := component{Type: "application", Name: "kadanoff", Version: r.version, PURL: purl("kadanoff", r.version)}
	main.Ref = main.PURL
	modules := map[string]component{}
	for _, name := range commands {
		file := filepath.Join(bin, name)
		info, err := buildinfo.ReadFile(file)
		if err != nil {
			return nil, err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		main.Components = append(main.Components, component{
			Type: "file", Ref: main.Ref + "#bin/" + name, Name: "bin/" + name, Version: r.version, PURL: main.PURL + "#cmd/" + name,
			Hashes: []hash{{"SHA-256", fmt.Sprintf("%x", sha256.Sum256(text))}},
		})
		std := strings.TrimPrefix(info.GoVersion, "go")
		modules["std"] = component{Type: "library", Ref: purl("std", std), Name: "std", Version: std, Scope: "required", PURL: purl("std", std)}
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			c := component{Type: "library", Name: m.Path, Version: m.Version, Scope: "required", PURL: purl(m.Path, m.Version)}
			c.Ref = c.PURL
			if sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:")); err == nil && len(sum) == sha256.Size {
				c.Hashes = []hash{{"SHA-256", fmt.Sprintf("%x", sum)}}
			}
			modules[m.Path] = c
		}
	}
	out := billOfMaterials{
		Schema: "http://cyclonedx.org/schema/bom-1.5.schema.json", Format: "CycloneDX", Spec: "1.5", Version: 1,
		Metadata: metadata{Timestamp: r.time.Format(time.RFC3339), Component: main},
	}
	for _, c := range modules {
		out.Components = append(out.Components, c)
	}
	slices.SortFunc(out.Components, func(a, b component) int { return cmp.Compare(a.Name, b.Name) })
	id := sha256.Sum256([]byte(b.name(r.version) + main.Components[0].Hashes[0].Content)) // one for each set of binaries
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80                                       // a UUID of version 8
	out.Serial = fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[0:4], id[4:6], id[6:8], id[8:10], id[10:16])
	text, err := json.MarshalIndent(out, "", "  ")
	return append(text, '\n'), err
}

var licenseFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)`)

// licenses copies the terms of all modules that are linked into the commands,
// and Go's own.
func licenses(b build, dir string) error {
	cmd := exec.Command("go", append([]string{"list", "-deps", "-tags", b.tags(), "-f",
		"{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Dir}}{{end}}{{end}}"}, "./cmd/kadanoff", "./cmd/rbmbench")...)
	cgo := "CGO_ENABLED=1"
	if b.static {
		cgo = "CGO_ENABLED=0"
	}
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+b.arch, cgo, "GOFLAGS=")
	list, err := output(cmd)
	if err != nil {
		return err
	}
	goroot, err := output(exec.Command("go", "env", "GOROOT"))
	if err != nil {
		return err
	}
	places := map[string]string{"go": goroot}
	for line := range strings.SplitSeq(list, "\n") {
		if path, at, ok := strings.Cut(line, "\t"); ok {
			places[path] = at
		}
	}
	for path, at := range places {
		entries, err := os.ReadDir(at)
		if err != nil {
			return err
		}
		found := false
		for _, e := range entries {
			if e.IsDir() || !licenseFile.MatchString(e.Name()) {
				continue
			}
			if err := copyTree(filepath.Join(dir, path, e.Name()), filepath.Join(at, e.Name())); err != nil {
				return err
			}
			found = true
		}
		if !found {
			return fmt.Errorf("module %s has no licence in %s", path, at)
		}
	}
	return nil
}
