package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/adamant-sh/adamant/internal/text"
)

// redrawEvery is how often a progress is drawn, and how fast its spinner turns.
const redrawEvery = 100 * time.Millisecond

// maxBar is the width of the widest bar, in columns.
const maxBar = 30

// A progress shows on stderr how far a long piece of work is: on a terminal as a
// line that is redrawn, with a bar if the total is known and a spinner if not;
// elsewhere as the lines that the work itself prints. It may be used by several
// goroutines.
type progress struct {
	a      *app
	width  func() int // of the terminal, in columns; nil if there is none
	format func(n int64) string
	stop   chan struct{}
	done   chan struct{} // closed when nothing is drawn any more

	mu       sync.Mutex
	text     string
	n, total int64 // total is 0 if it is unknown
	turn     int   // of the spinner
	began    time.Time
}

// startProgress begins to show progress, which end must end. Numbers are shown
// by format. While it goes on, what the app prints on stderr appears above it.
func (a *app) startProgress(text string, total int64, format func(n int64) string) *progress {
	p := &progress{a: a, format: format, text: text, total: total, began: time.Now(), stop: make(chan struct{}), done: make(chan struct{})}
	f, isFile := a.err.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		close(p.done)
		return p
	}
	p.width = func() int { return columns(f) }
	a.setLive(p)
	go p.run()
	return p
}

// columns returns the width of a terminal.
func columns(f *os.File) int {
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		return width
	}
	return 80 // it does not tell, as on a serial line
}

func (p *progress) run() {
	defer close(p.done)
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	for {
		p.print("")
		select {
		case <-tick.C:
		case <-p.stop:
			return
		}
	}
}

// step replaces the text. Where nothing is drawn it prints a line.
func (p *progress) step(text string) {
	if p.width == nil {
		fmt.Fprintln(p.a.err, text)
		return
	}
	p.mu.Lock()
	before := p.text
	p.text, p.began = text, time.Now()
	p.mu.Unlock()
	if before != "" {
		p.print(before + "\n") // the last step stays above
	}
}

// say is step for a package that formats its steps.
func (p *progress) say(format string, args ...any) {
	p.step(text.EscapeLines(fmt.Sprintf(format, args...)))
}

// set sets the amount that is done, and the total.
func (p *progress) set(n, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n, p.total = n, total
}

// add adds to the amount that is done.
func (p *progress) add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n += n
}

// end removes the line. It must not be called twice.
func (p *progress) end() {
	if p.width == nil {
		return
	}
	close(p.stop)
	<-p.done
	p.a.setLive(nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	io.WriteString(p.a.err, "\r\x1b[K")
}

// print writes lines above the progress, and draws it anew.
func (p *progress) print(lines string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn++
	// One write, so that no half of it is seen.
	io.WriteString(p.a.err, "\r\x1b[K"+lines+p.draw(p.width()))
}

// draw returns the line, which is narrower than width: a terminal wraps a line
// that fills its last column, and then the line could not be drawn over.
func (p *progress) draw(width int) string {
	width--
	if p.text == "" {
		return ""
	}
	if p.total <= 0 {
		spinner := string([]rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")[p.turn%10])
		tail := fmt.Sprintf(" %ds", int(time.Since(p.began).Seconds()))
		return cut(spinner+" "+shorten(p.text, width-len(tail)-2)+tail, max(width, 1))
	}
	n := min(p.n, p.total)
	tail := fmt.Sprintf("%3d%% %s of %s", 100*n/p.total, p.format(n), p.format(p.total))
	room := width - len(tail) - 1
	text := shorten(p.text, room)
	bar := min(room-len([]rune(text))-3, maxBar) // a space, and brackets
	if bar < 5 {
		return cut(text+" "+tail, max(width, 1))
	}
	full := int(int64(bar) * n / p.total)
	return text + " [" + strings.Repeat("=", full) + strings.Repeat(" ", bar-full) + "] " + tail
}

// shorten cuts text to at most n characters, but keeps some of it.
func shorten(text string, n int) string { return cut(text, max(n, 8)) }

// fit cuts a line to a terminal's width, in which sequences that set colours take
// no room.
func fit(line string, width int) string {
	n, inSequence := 0, false
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\x1b':
			inSequence = true
		case inSequence:
			inSequence = r != 'm'
		default:
			if n++; n >= width {
				return -1
			}
		}
		return r
	}, line)
}

// setLive makes p the progress that a's lines are printed above.
func (a *app) setLive(p *progress) {
	a.liveMu.Lock()
	defer a.liveMu.Unlock()
	a.live = p
}

// progress prints a line on stderr: a step of a command, or a note.
func (a *app) progress(format string, args ...any) {
	line := text.EscapeLines(fmt.Sprintf(format, args...)) + "\n"
	a.liveMu.Lock()
	defer a.liveMu.Unlock()
	if a.live != nil {
		a.live.print(line)
		return
	}
	io.WriteString(a.err, line)
}
