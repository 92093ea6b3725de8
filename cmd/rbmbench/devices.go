package main

import (
	"os"
	"slices"

	"github.com/spf13/cobra"

	"kadanoff/backend"
	"kadanoff/bench"
	"kadanoff/cmd/internal/cli"
	"kadanoff/kernels/isa"
)

// device is a line of rbmbench devices.
type device struct {
	Backend string `json:"backend"`
	ISA     string `json:"isa"`
	Device  string `json:"device"`
	Threads int    `json:"threads,omitempty"`
	Memory  int64  `json:"memory,omitempty"`
	Status  string `json:"status"`         // ready, or why it cannot be used
	Note    string `json:"note,omitempty"` // which jobs it leaves to another device
}

func devicesCommand(o *cli.Options) *cobra.Command {
	return &cobra.Command{
		Use:     "devices",
		Short:   "Backends, instruction sets and memory, and why something is missing",
		Example: "  rbmbench devices\n  rbmbench devices --format json",
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.Print(cmd, struct {
				Machine bench.Machine `json:"machine"`
				Devices []device      `json:"devices"`
			}{bench.ThisMachine(), devices()})
		},
	}
}

// nvidiaDriver exists where the NVIDIA kernel driver is loaded.
const nvidiaDriver = "/proc/driver/nvidia/version"

func devices() []device {
	memory := bench.ThisMachine().Memory
	var list []device
	drivers := backend.Drivers()
	for _, d := range drivers {
		for _, i := range d.Devices() {
			x := device{Backend: i.Backend, ISA: i.ISA, Device: i.Device, Threads: i.Threads, Memory: i.Memory, Status: "ready", Note: i.Note}
			if x.Memory == 0 && x.Backend == "cpu" {
				x.Memory = memory
			}
			if i.Missing != "" {
				x.Status = i.Missing
			}
			list = append(list, x)
		}
		if d.Name != "cpu" {
			continue
		}
		for _, l := range isa.Levels() {
			if !isa.Has(l) {
				list = append(list, device{Backend: d.Name, ISA: l.String(), Status: isa.Missing(l)})
			}
		}
	}
	if !slices.ContainsFunc(drivers, func(d backend.Driver) bool { return d.Name == "cuda" }) {
		x := device{Backend: "cuda", Status: "built without CUDA"}
		if _, err := os.Stat(nvidiaDriver); err == nil {
			x.Status = "built without CUDA: make gpu"
		}
		list = append(list, x)
	}
	return list
}
