package terminal

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

	"github.com/adamant-sh/adamant/internal/text"
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
			l := &Log{Out: tty}
			p := l.Start("loading registry.example/a/name/that/is/rather/long:1.2.3", 200<<20, text.Bytes)
			p.Set(50<<20, 200<<20)
			time.Sleep(2 * redrawEvery)
			l.Printf("note: a line above")
			p.End()
			p = l.Start("", 0, nil)
			for _, step := range []string{"Deployment/web: running it with a writable root", "Deployment/web: running it sealed, with 3 volumes"} {
				p.Step("%s", step)
				time.Sleep(2 * redrawEvery)
			}
			p.End()
			l.Printf("proven")

			got := written()
			for _, line := range []string{"\x1b[Knote: a line above\n", "\x1b[KDeployment/web: running it with a writable root\n"} {
				if !strings.Contains(got, line) {
					t.Errorf("no line %q in %q", line, got)
				}
			}
			if !strings.HasSuffix(got, "\r\x1b[Kproven\n") {
				t.Errorf("the last progress is not removed: %q", got)
			}
			for _, drawn := range strings.Split(got, "\r\x1b[K") {
				if i := strings.LastIndexByte(drawn, '\n'); i >= 0 {
					drawn = drawn[i+1:] // lines that stay may wrap
				}
				if n := utf8.RuneCountInString(drawn); n >= columns && columns > 1 {
					t.Errorf("%d columns on a terminal of %d: %q", n, columns, drawn)
				}
			}
			if columns == 100 && !strings.Contains(got, "[===         ]  25% 50.0 MiB of 200.0 MiB") {
				t.Errorf("no bar at a quarter in %q", got)
			}
			if columns == 40 && !strings.Contains(got, " 25% 50.0 MiB of 200.0 MiB") {
				t.Errorf("no share in %q", got)
			}
		})
	}
}

// TestCounterNamesTheRunning checks that a counter shows how much is done, and what is
// running.
func TestCounterNamesTheRunning(t *testing.T) {
	tty, written := openTerminal(t, 100)
	set, end := (&Log{Out: tty}).Counter("reading servers")(50)
	set(40, []string{"web-7", "web-9", "db-1\x1b", "db-2", "db-3"})
	time.Sleep(2 * redrawEvery)
	end()
	if got := written(); !strings.Contains(got, `reading servers: web-7, web-9, db-1\x1b and 2 more [`) || !strings.Contains(got, "80% 40 of 50") {
		t.Errorf("got %q", got)
	}
}

// TestProgressTellsTheTimeLeft checks the line of a step whose end is estimated.
func TestProgressTellsTheTimeLeft(t *testing.T) {
	now := time.Now()
	p := &Progress{text: "web: running it sealed", began: now.Add(-12 * time.Second)}
	p.Expect(now.Add(75*time.Second+100*time.Millisecond), "started 3 of 10 containers")
	if got, want := p.draw(100), "⠋ web: running it sealed: started 3 of 10 containers 12s, about 1m15s left"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	p.Expect(now.Add(-time.Second), "")
	if got, want := p.draw(100), "⠋ web: running it sealed 12s"; got != want {
		t.Errorf("later than expected: got %q, want %q", got, want)
	}
}

// TestProgressElsewhere checks that nothing but lines is written where there is
// no terminal.
func TestProgressElsewhere(t *testing.T) {
	var out bytes.Buffer
	l := &Log{Out: &out}
	p := l.Start("loading x.tar", 100, text.Bytes)
	p.Set(50, 100)
	p.End()
	p = l.Start("", 0, nil)
	p.Step("%s", "running it")
	l.Printf("note: x")
	time.Sleep(2 * redrawEvery)
	p.End()
	if got, want := out.String(), "running it\nnote: x\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A prompt on the same terminal is not drawn over, and lines still appear.
func TestProgressPauses(t *testing.T) {
	tty, written := openTerminal(t, 40)
	l := &Log{Out: tty}
	p := l.Start("reading servers", 3, func(n int64) string { return fmt.Sprint(n) })
	time.Sleep(2 * redrawEvery)
	l.Pause()
	io.WriteString(tty, "password: ")
	time.Sleep(3 * redrawEvery)
	l.Printf("note: a line meanwhile")
	time.Sleep(3 * redrawEvery)
	io.WriteString(tty, "answered\n")
	l.Resume()
	time.Sleep(2 * redrawEvery)
	p.End()
	got := written()
	if !strings.Contains(got, "\r\x1b[Kpassword: note: a line meanwhile\nanswered\n\r\x1b[Kreading servers") {
		t.Errorf("the prompt was drawn over, or nothing came after it: %q", got)
	}
}

// TestPictureFitsTheTerminal checks that a picture that is redrawn leaves nothing of the
// one before, also if it is wider and higher than the terminal.
func TestPictureFitsTheTerminal(t *testing.T) {
	tty, written := openTerminal(t, 40)
	var p Picture
	for turn := range 3 {
		var b strings.Builder
		for n := range 60 {
			fmt.Fprintf(&b, "\x1b[32m●\x1b[0m instance %d of turn %d, with a message that is longer than a line\n", n, turn)
		}
		p.Draw(tty, b.String())
	}
	for n, drawn := range strings.Split(written(), "\x1b[J") {
		drawn, _, _ = strings.Cut(drawn, "\x1b[23A") // up
		if got := strings.Count(drawn, "\n"); got != 23 {
			t.Errorf("turn %d: %d lines on a terminal of 24", n, got)
		}
		if !strings.Contains(drawn, "  and 38 more lines\n") {
			t.Errorf("turn %d does not say what is left out: %q", n, drawn)
		}
		for line := range strings.Lines(drawn) {
			if width := text.Width(strings.TrimSuffix(line, "\n")); width >= 40 {
				t.Errorf("turn %d: %d columns: %q", n, width, line)
			}
		}
	}
}
