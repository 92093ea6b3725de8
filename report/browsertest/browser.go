// Package browsertest opens pages in a headless Chromium, for tests: over the
// DevTools protocol on a pipe, without a network.
package browsertest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// answerLimit is how long the browser may take for one answer, on a busy
// machine.
const answerLimit = 60 * time.Second

// Browser is a running Chromium with one page.
type Browser struct {
	cmd     *exec.Cmd
	in      *os.File
	out     chan message
	session string
	id      int

	// What the page did since it was opened.
	Problems []string // errors and warnings of the console, exceptions
	Requests []string // addresses that were asked for
}

type message struct {
	ID     int             `json:"id,omitempty"`
	Method string          `json:"method,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
	Session string `json:"sessionId,omitempty"`
}

// Start starts a browser that ends with the test, which is skipped where there
// is none.
func Start(t testing.TB) *Browser {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser takes seconds")
	}
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("no Chromium here to look at the page with")
	}
	ourIn, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	theirIn, ourOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	b := &Browser{in: ourOut, out: make(chan message, 64)}
	b.cmd = exec.Command(path, "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--disable-background-networking", "--disable-dev-shm-usage", "--hide-scrollbars", "--user-data-dir="+t.TempDir(), "about:blank")
	var stderr bytes.Buffer
	b.cmd.Stderr, b.cmd.WaitDelay = &stderr, time.Second
	b.cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4 in the browser
	if err := b.cmd.Start(); err != nil {
		t.Skipf("Chromium does not start: %v", err)
	}
	theirIn.Close()
	theirOut.Close()
	go func() {
		defer close(b.out)
		r := bufio.NewReader(ourIn)
		for {
			text, err := r.ReadBytes(0)
			if err != nil {
				return
			}
			var m message
			if json.Unmarshal(text[:len(text)-1], &m) == nil {
				b.out <- m
			}
		}
	}()
	t.Cleanup(func() {
		_ = b.call("Browser.close", nil, nil) // ends it; it may be gone before it answers
		b.in.Close()
		done := make(chan struct{})
		go func() {
			for range b.out { // lets the reader go
			}
			_ = b.cmd.Wait()
			close(done)
		}()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			_ = b.cmd.Process.Kill()
			<-done
		}
		ourIn.Close()
	})
	var target struct{ TargetID string }
	var attached struct{ SessionID string }
	err = b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	if err == nil {
		err = b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	}
	if err != nil {
		t.Fatalf("Chromium: %v\n%s", err, stderr.String())
	}
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		if err := b.call(domain+".enable", nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// call sends a command and waits for its answer. Events that come first are
// noted.
func (b *Browser) call(method string, params, result any) error {
	b.id++
	if params == nil {
		params = struct{}{}
	}
	raw, err := json.Marshal(params)
	if err != nil {
		return err
	}
	text, err := json.Marshal(message{ID: b.id, Method: method, Params: raw, Session: b.session})
	if err != nil {
		return err
	}
	if _, err := b.in.Write(append(text, 0)); err != nil {
		return err
	}
	m, err := b.wait(method, func(m message) bool { return m.ID == b.id })
	if err != nil {
		return err
	}
	if m.Error != nil {
		return fmt.Errorf("%s: %s", method, m.Error.Message)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(m.Result, result)
}

// wait reads until a message is the one wanted.
func (b *Browser) wait(what string, wanted func(message) bool) (message, error) {
	limit := time.NewTimer(answerLimit)
	defer limit.Stop()
	for {
		select {
		case m, ok := <-b.out:
			if !ok {
				return m, fmt.Errorf("%s: the browser has ended", what)
			}
			b.note(m)
			if wanted(m) {
				return m, nil
			}
		case <-limit.C:
			return message{}, fmt.Errorf("%s: no answer for %v", what, answerLimit)
		}
	}
}

func (b *Browser) note(m message) {
	switch m.Method {
	case "Runtime.exceptionThrown":
		b.Problems = append(b.Problems, string(m.Params))
	case "Runtime.consoleAPICalled", "Log.entryAdded":
		var p struct {
			Type  string
			Entry struct{ Level string }
		}
		_ = json.Unmarshal(m.Params, &p)
		switch p.Type + p.Entry.Level {
		case "error", "warning", "assert":
			b.Problems = append(b.Problems, string(m.Params))
		}
	case "Network.requestWillBeSent":
		var p struct{ Request struct{ URL string } }
		_ = json.Unmarshal(m.Params, &p)
		b.Requests = append(b.Requests, p.Request.URL)
	}
}

// View is how a page is looked at.
type View struct {
	Width, Height int
	Dark          bool
}

// Open opens a file in a view and waits until it is there.
func (b *Browser) Open(file string, v View) error {
	abs, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	scheme := "light"
	if v.Dark {
		scheme = "dark"
	}
	err = errors.Join(
		b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": v.Width, "height": v.Height, "deviceScaleFactor": 1, "mobile": v.Width < 600}, nil),
		b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil),
	)
	if err != nil {
		return err
	}
	b.Problems, b.Requests = nil, nil
	if err := b.call("Page.navigate", map[string]any{"url": "file://" + filepath.ToSlash(abs)}, nil); err != nil {
		return err
	}
	var ready string
	for range 200 {
		if err := b.Eval("document.readyState", &ready); err != nil {
			return err
		}
		if ready == "complete" {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("%s: still %s", file, ready)
}

// Eval evaluates JavaScript and reads its value.
func (b *Browser) Eval(script string, value any) error {
	var r struct {
		Result    struct{ Value json.RawMessage }
		Exception *struct {
			Text      string
			Exception struct{ Description string }
		} `json:"exceptionDetails"`
	}
	if err := b.call("Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true, "awaitPromise": true}, &r); err != nil {
		return err
	}
	if r.Exception != nil {
		return fmt.Errorf("%s %s", r.Exception.Text, r.Exception.Exception.Description)
	}
	return json.Unmarshal(r.Result.Value, value)
}

// Screenshot writes the whole page as a PNG.
func (b *Browser) Screenshot(file string) error {
	var r struct{ Data []byte }
	if err := b.call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &r); err != nil {
		return err
	}
	return os.WriteFile(file, r.Data, 0o666)
}

// screenshots is the environment variable that names a folder for pictures of
// everything that Check looks at.
const screenshots = "KADANOFF_SCREENSHOTS"

// Views are those of Check: a telephone, a tablet and a wide screen, light and
// dark.
func Views() (views []View) {
	for _, dark := range []bool{false, true} {
		views = append(views, View{360, 740, dark}, View{820, 1100, dark}, View{1600, 1000, dark})
	}
	return views
}

// Check looks at a page in all views in a browser of its own; see
// Browser.Check.
func Check(t testing.TB, file string) {
	t.Helper()
	Start(t).Check(t, file)
}

// Check looks at a page in all views. It must ask for nothing but itself, have
// no errors, nothing wider than the window, and figures that can be seen, with
// their texts whole and in colours that can be told from the ground.
func (b *Browser) Check(t testing.TB, file string) {
	t.Helper()
	for _, v := range Views() {
		name := fmt.Sprintf("%dx%d", v.Width, v.Height)
		if v.Dark {
			name += "-dark"
		}
		if err := b.Open(file, v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var found []string
		if err := b.Eval(fmt.Sprintf(inspect, v.Dark), &found); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, f := range append(found, b.Problems...) {
			t.Errorf("%s: %s", name, f)
		}
		if len(b.Requests) != 1 || !strings.HasPrefix(b.Requests[0], "file://") {
			t.Errorf("%s: the page asked for %v, want itself alone", name, b.Requests)
		}
		if dir := os.Getenv(screenshots); dir != "" {
			base := strings.TrimSuffix(filepath.Base(file), ".html")
			if err := b.Screenshot(filepath.Join(dir, base+"-"+name+".png")); err != nil {
				t.Error(err)
			}
		}
	}
}

// inspect lists what is wrong with a page; its argument is whether it should be
// dark.
const inspect = `(dark => {
	const found = [], wide = document.documentElement.clientWidth;
	if (document.documentElement.scrollWidth > wide)
		found.push("the page is " + document.documentElement.scrollWidth + " wide in a window of " + wide);
	for (const e of document.querySelectorAll("body *:not(svg *)")) {
		const r = e.getBoundingClientRect();
		if (r.right > wide + 1 && !e.closest(".table"))
			found.push(e.tagName + " reaches " + Math.round(r.right) + " in a window of " + wide + ": " + e.textContent.slice(0, 40));
	}
	const rgb = s => s.match(/[\d.]+/g).slice(0, 3).map(Number);
	const luminance = s => {
		const [r, g, b] = rgb(s).map(x => (x /= 255) <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
	const ground = luminance(getComputedStyle(document.body).backgroundColor);
	if (dark ? ground > 0.1 : ground < 0.9) found.push("the ground has a luminance of " + ground);
	if (contrast(luminance(getComputedStyle(document.body).color), ground) < 7) found.push("the text is too faint");
	const plots = [...document.querySelectorAll("figure svg")];
	for (const p of plots) {
		const r = p.getBoundingClientRect(), name = "a plot with " + (p.querySelector("text") || {textContent: "no text"}).textContent;
		if (r.width < 150 || r.height < 80 || !p.checkVisibility()) found.push(name + " is " + r.width + " by " + r.height);
		const texts = [...p.querySelectorAll("text")].filter(t => t.textContent.trim());
		if (texts.length + p.querySelectorAll("path, polygon, circle, line").length < 2) found.push(name + " is empty");
		const boxes = texts.map(t => [t, t.getBoundingClientRect()]);
		for (const [t, b] of boxes) {
			if (b.left < r.left - 1 || b.right > r.right + 1 || b.top < r.top - 1 || b.bottom > r.bottom + 1)
				found.push(name + ": cut off: " + t.textContent);
			if (contrast(luminance(getComputedStyle(t).fill), ground) < 4.5) found.push(name + ": faint: " + t.textContent);
		}
		for (let i = 0; i < boxes.length; i++)
			for (let j = 0; j < i; j++) {
				const [s, a] = boxes[i], [t, b] = boxes[j];
				const x = Math.min(a.right, b.right) - Math.max(a.left, b.left), y = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
				if (x > 2 && y > 0.45 * Math.min(a.height, b.height)) found.push(name + ": texts overlap: " + s.textContent + " and " + t.textContent);
			}
	}
	const missing = document.querySelectorAll("figure").length - new Set(plots.map(p => p.closest("figure"))).size;
	if (missing) found.push(missing + " figures without a plot");
	for (const e of document.querySelectorAll("h1, h2, p, td, th, figcaption"))
		if (e.textContent.includes("NaN") || e.textContent.includes("ZgotmplZ")) found.push("shows " + e.textContent.slice(0, 60));
	return found;
})(%v)`
