package cli

import "runtime/debug"

// version is set by the linker in releases:
// -X kadanoff/cmd/internal/cli.version=v1.2.3.
var version string

// Version returns the version of the binary: that of the release, else what Go
// recorded of the source, the module's version or the revision, else unknown.
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return "unknown"
}
