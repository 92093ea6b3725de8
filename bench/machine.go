package bench

import (
	"bytes"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/cpuid/v2"

	"kadanoff/kernels/isa"
)

// Machine describes where a report was made.
type Machine struct {
	CPU        string   `json:"cpu"`
	Cores      int      `json:"cores"` // logical cores that the process may use
	Memory     int64    `json:"memory,omitempty"`
	OS         string   `json:"os"`
	Arch       string   `json:"arch"`
	Go         string   `json:"go"`
	GOAMD64    string   `json:"goamd64,omitempty"`
	ISA        []string `json:"isa"`                   // instruction sets present, weakest first
	Rates      []Rates  `json:"rates,omitempty"`       // of each instruction set that was timed
	MemoryRate float64  `json:"memory_rate,omitempty"` // bytes/s of one core that copies what no cache holds, read and written
	OtherCores *float64 `json:"other_cores,omitempty"` // cores that other processes kept busy, on average
	Pinned     []int    `json:"pinned,omitempty"`      // cores that everything was kept on
}

// Rates are what one core does a second at best with an instruction set. What
// a build or machine cannot measure is 0.
type Rates struct {
	ISA     string  `json:"isa"`
	Clock   float64 `json:"clock_hz"`
	FMA     float64 `json:"fma"`               // float32 multiply-adds/s
	Look    float64 `json:"look_up,omitempty"` // connections/s of the look-ups alone that limit gibbs
	Limited string  `json:"limited_by,omitempty"`
}

// memoryRate measures the bytes a second that one core reads and writes when it
// copies what no cache holds: the best of several copies.
var memoryRate = sync.OnceValue(func() float64 {
	const size = 128 << 20
	from, to := make([]byte, size), make([]byte, size)
	for i := 0; i < size; i += 4096 { // so that the pages are there
		from[i], to[i] = 1, 1
	}
	best := time.Duration(math.MaxInt64)
	for range 4 {
		start := time.Now()
		copy(to, from)
		best = min(best, time.Since(start))
	}
	return 2 * size / best.Seconds()
})

// ThisMachine describes the machine that the process runs on.
func ThisMachine() Machine {
	m := Machine{
		CPU: cpuName(), Cores: runtime.NumCPU(), Memory: memory(),
		OS: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version(), GOAMD64: setting("GOAMD64"),
	}
	for _, l := range isa.Available() {
		m.ISA = append(m.ISA, l.String())
	}
	return m
}

// cpuName names the CPU: its brand, or, where a virtual machine shortens that,
// brand with family and model as well.
func cpuName() string {
	c := &cpuid.CPU
	name := strings.TrimSpace(c.BrandName)
	if name == "" {
		name = procValue("/proc/cpuinfo", "model name")
	}
	if name == "" {
		return runtime.GOARCH
	}
	if c.Family != 0 {
		name += " (family " + strconv.Itoa(c.Family) + ", model " + strconv.Itoa(c.Model) + ")"
	}
	return name
}

func memory() int64 {
	kb, _ := strconv.ParseInt(strings.TrimSuffix(procValue("/proc/meminfo", "MemTotal"), " kB"), 10, 64)
	return kb << 10
}

// procValue returns the value of the first line "key : value" of a file.
func procValue(file, key string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range bytes.Lines(text) {
		if k, v, ok := bytes.Cut(line, []byte{':'}); ok && string(bytes.TrimSpace(k)) == key {
			return string(bytes.TrimSpace(v))
		}
	}
	return ""
}

func setting(key string) string {
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// load watches how busy other processes keep the machine.
type load struct {
	start time.Time
	busy  float64 // seconds of CPU time used by everybody
	own   float64 // by this process and those that work for it
	ours  []int   // numbers of the processes that work for it
}

// watchLoad begins to watch; ok is false where the system does not say.
func watchLoad(ours ...int) (l load, ok bool) {
	busy, ok := busySeconds()
	return load{time.Now(), busy, secondsOf(ours), ours}, ok
}

// since returns the seconds since the watch began and the CPU time that other
// processes used in them, which ticks may make negative where both are short.
func (l load) since() (wall, others float64) {
	busy, _ := busySeconds()
	return time.Since(l.start).Seconds(), busy - l.busy - (secondsOf(l.ours) - l.own)
}

// others returns the cores that other processes kept busy on average since the
// watch began.
func (l load) others() float64 {
	wall, others := l.since()
	return max(0, others/max(wall, 1e-3))
}

// disturbance is what other processes did over several watches.
type disturbance struct{ wall, others float64 }

func (n *disturbance) add(l load) {
	wall, others := l.since()
	n.wall, n.others = n.wall+wall, n.others+others
}

// cores returns how many cores others kept busy on average.
func (n *disturbance) cores() float64 { return max(0, n.others/max(n.wall, 1e-3)) }

// secondsOf returns the CPU time of this process and of others by number, as far
// as the system tells.
func secondsOf(pids []int) float64 {
	sum := ownSeconds()
	for _, pid := range pids {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			continue
		}
		// The name, in parentheses, may hold anything; user and system time are
		// fields 14 and 15, counted from 1.
		f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		for _, i := range []int{11, 12} {
			if i < len(f) {
				x, _ := strconv.ParseFloat(f[i], 64)
				sum += x / ticks
			}
		}
	}
	return sum
}

// ticks is the unit of /proc/stat, fixed by the interface at 1/100 s.
const ticks = 100

func busySeconds() (float64, bool) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, false
	}
	line, _, _ := strings.Cut(string(text), "\n")
	f := strings.Fields(line)
	if len(f) < 8 || f[0] != "cpu" {
		return 0, false
	}
	sum := 0.0
	for _, i := range []int{1, 2, 3, 6, 7} { // user, nice, system, irq, softirq
		x, err := strconv.ParseFloat(f[i], 64)
		if err != nil {
			return 0, false
		}
		sum += x
	}
	return sum / ticks, true
}
