package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// openTerminal returns a terminal of so many columns, and a function that closes
// it and returns what was written to it.
func openTerminal(t *testing.T, columns uint16) (*os.File, func() string) {
	t.Helper()
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(ptmx.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(ptmx.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
	read := make(chan string)
	go func() {
		text, _ := io.ReadAll(ptmx) // ends with EIO once the terminal is closed
		read <- string(text)
	}()
	return tty, func() string {
		tty.Close()
		text := <-read
		ptmx.Close()
		return strings.ReplaceAll(text, "\r\n", "\n")
	}
}

func TestProgressOnTerminal(t *testing.T) {
	for _, columns := range []int{1, 10, 40, 100} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			tty, written := openTerminal(t, uint16(columns))
			var out bytes.Buffer
			a := &app{out: &out, err: tty}
			p := a.startProgress("loading registry.example/a/name/that/is/rather/long:1.2.3", 200<<20, size)
			p.set(50<<20, 200<<20)
			time.Sleep(2 * redrawEvery)
			a.progress("note: a line above")
			p.end()
			p = a.startProgress("", 0, nil)
			for _, step := range []string{"Deployment/web: running it with a writable root", "Deployment/web: running it sealed, with 3 volumes"} {
				p.step(step)
				time.Sleep(2 * redrawEvery)
			}
			p.end()
			a.progress("proven")

			text := written()
			if out.Len() > 0 {
				t.Errorf("stdout got %q", out.String())
			}
			for _, line := range []string{"\x1b[Knote: a line above\n", "\x1b[KDeployment/web: running it with a writable root\n"} {
				if !strings.Contains(text, line) {
					t.Errorf("no line %q in %q", line, text)
				}
			}
			if !strings.HasSuffix(text, "\r\x1b[Kproven\n") {
				t.Errorf("the last progress is not removed: %q", text)
			}
			for _, drawn := range strings.Split(text, "\r\x1b[K") {
				if i := strings.LastIndexByte(drawn, '\n'); i >= 0 {
					drawn = drawn[i+1:] // lines that stay may wrap
				}
				if n := utf8.RuneCountInString(drawn); n >= columns && columns > 1 {
					t.Errorf("%d columns on a terminal of %d: %q", n, columns, drawn)
				}
			}
			if columns == 100 && !strings.Contains(text, "[===         ]  25% 50.0 MiB of 200.0 MiB") {
				t.Errorf("no bar at a quarter in %q", text)
			}
			if columns == 40 && !strings.Contains(text, " 25% 50.0 MiB of 200.0 MiB") {
				t.Errorf("no share in %q", text)
			}
		})
	}
}

// TestProgressElsewhere checks that nothing but lines is written where there is
// no terminal.
func TestProgressElsewhere(t *testing.T) {
	var out, stderr bytes.Buffer
	a := &app{out: &out, err: &stderr}
	p := a.startProgress("loading x.tar", 100, size)
	p.set(50, 100)
	p.end()
	p = a.startProgress("", 0, nil)
	p.step("running it")
	a.progress("note: x")
	time.Sleep(2 * redrawEvery)
	p.end()
	if got, want := stderr.String(), "running it\nnote: x\n"; got != want || out.Len() > 0 {
		t.Errorf("got %q, want %q; stdout %q", got, want, out.String())
	}
}
