package terminal

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/adamant-sh/adamant/internal/text"
)

// redrawEvery is the interval at which a progress is drawn and its spinner turns.
const redrawEvery = 100 * time.Millisecond

// maxBar is the width of the widest bar, in columns.
const maxBar = 30

// A Log prints lines: the steps of a command, and notes. It may be used by
// several goroutines. It must not be copied.
type Log struct {
	Out io.Writer // nothing is printed if it is nil

	mu       sync.Mutex
	progress *Progress // that is drawn now, or nil
	paused   bool
}

// Printf prints a line, above the progress if there is one.
func (l *Log) Printf(format string, args ...any) {
	if l.Out == nil {
		return
	}
	line := text.EscapeLines(fmt.Sprintf(format, args...)) + "\n"
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.progress != nil {
		l.progress.print(line)
		return
	}
	io.WriteString(l.Out, line)
}

func (l *Log) setProgress(p *Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.progress = p
	if p != nil {
		p.pause(l.paused)
	}
}

// Pause removes the progress until Resume is called, so that it does not overwrite a
// prompt on the same terminal. Lines are printed meanwhile.
func (l *Log) Pause() { l.pause(true) }

// Resume draws the progress again.
func (l *Log) Resume() { l.pause(false) }

func (l *Log) pause(paused bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paused = paused
	if l.progress != nil {
		l.progress.pause(paused)
	}
}

// A Progress shows how far a long piece of work is. On a terminal it is a line
// that is redrawn, with a bar if the total is known and a spinner if not;
// elsewhere only its steps are printed. It may be used by several goroutines.
type Progress struct {
	log    *Log
	width  func() int // of the terminal, in columns; nil if there is none
	format func(n int64) string
	stop   chan struct{}
	done   chan struct{} // closed when nothing is drawn any more

	mu       sync.Mutex
	text     string
	n, total int64 // total is 0 if it is unknown
	turn     int   // of the spinner
	paused   bool
	began    time.Time
	end      time.Time // estimated, of all steps; zero if it is unknown
	detail   string    // of the step
}

// Start begins a progress, which the caller must End. Numbers are shown by format.
// Meanwhile the lines of the log appear above it.
func (l *Log) Start(text string, total int64, format func(n int64) string) *Progress {
	p := &Progress{log: l, format: format, text: text, total: total, began: time.Now(), stop: make(chan struct{}), done: make(chan struct{})}
	if !IsTerminal(l.Out) {
		close(p.done)
		return p
	}
	p.width = func() int { return columns(l.Out.(*os.File)) }
	l.setProgress(p)
	go p.run()
	return p
}

// maxRunning is the most names that a Counter shows.
const maxRunning = 3

// Counter returns a function that starts a progress, given its total. It returns
// functions that set how much is done and what is running, the longest first, and that
// end the progress.
func (l *Log) Counter(text string) func(total int) (set func(done int, running []string), end func()) {
	return func(total int) (func(int, []string), func()) {
		p := l.Start(text, int64(total), func(n int64) string { return strconv.FormatInt(n, 10) })
		set := func(done int, running []string) {
			p.Set(int64(done), int64(total))
			detail := strings.Join(running[:min(len(running), maxRunning)], ", ")
			if more := len(running) - maxRunning; more > 0 {
				detail += fmt.Sprintf(" and %d more", more)
			}
			p.Expect(time.Time{}, detail)
		}
		return set, p.End
	}
}

func (p *Progress) pause(paused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if paused && !p.paused {
		io.WriteString(p.log.Out, "\r\x1b[K")
	}
	p.paused = paused
}

func (p *Progress) run() {
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

// Step replaces the text by that of the next step, below the one before.
func (p *Progress) Step(format string, args ...any) {
	if p.width == nil {
		p.log.Printf(format, args...)
		return
	}
	p.mu.Lock()
	before := p.text
	p.text, p.began, p.detail = text.EscapeLines(fmt.Sprintf(format, args...)), time.Now(), ""
	p.mu.Unlock()
	if before != "" {
		p.print(before + "\n")
	}
}

// Expect sets when all steps will have ended, as far as that is known, and a detail
// of the current step, which the next step removes.
func (p *Progress) Expect(end time.Time, detail string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end, p.detail = end, text.EscapeLines(detail)
}

// Set sets the amount that is done, and the total.
func (p *Progress) Set(n, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n, p.total = n, total
}

// Add adds to the amount that is done.
func (p *Progress) Add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n += n
}

// End removes the line. It must not be called twice.
func (p *Progress) End() {
	if p.width == nil {
		return
	}
	close(p.stop)
	<-p.done
	p.log.setProgress(nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.paused {
		io.WriteString(p.log.Out, "\r\x1b[K")
	}
}

// print writes lines above the progress, and draws it again.
func (p *Progress) print(lines string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paused {
		io.WriteString(p.log.Out, lines)
		return
	}
	p.turn++
	// One write: a terminal could show the first of two alone.
	io.WriteString(p.log.Out, "\r\x1b[K"+lines+p.draw(p.width()))
}

// draw returns the line. It is narrower than width: a terminal wraps a line that
// fills its last column, and then it could not be drawn over.
func (p *Progress) draw(width int) string {
	width--
	if p.text == "" {
		return ""
	}
	if p.total <= 0 {
		spinner := string([]rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")[p.turn%10])
		tail := fmt.Sprintf(" %ds", int(time.Since(p.began).Seconds()))
		if left := time.Until(p.end); left > 0 {
			tail += ", about " + left.Round(time.Second).String() + " left"
		}
		title := p.text
		if p.detail != "" {
			title += ": " + p.detail
		}
		return text.Cut(spinner+" "+shorten(title, width-len(tail)-2)+tail, max(width, 1))
	}
	n := min(p.n, p.total)
	tail := fmt.Sprintf("%3d%% %s of %s", 100*n/p.total, p.format(n), p.format(p.total))
	room := width - len(tail) - 1
	title := p.text
	if p.detail != "" {
		title += ": " + p.detail
	}
	title = shorten(title, room)
	bar := min(room-len([]rune(title))-3, maxBar) // without a space and the brackets
	if bar < 5 {
		return text.Cut(title+" "+tail, max(width, 1))
	}
	full := int(int64(bar) * n / p.total)
	return title + " [" + strings.Repeat("=", full) + strings.Repeat(" ", bar-full) + "] " + tail
}

// shorten cuts a title to n characters, but keeps at least eight.
func shorten(title string, n int) string { return text.Cut(title, max(n, 8)) }
