package cri

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A LogLine is a line of a container's output, or a part of a line if the runtime
// split it. The format is that of the CRI,
// https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md.
type LogLine struct {
	Time    time.Time // when the runtime read it; zero if Raw
	Stream  string    // "stdout" or "stderr"; "" if Raw
	Partial bool      // the line continues in the next LogLine of this stream
	Raw     bool      // not in the CRI format; Text is the whole line
	Text    []byte    // without the newline; valid until the next line is read
}

// LogOptions selects the part of a log that is read. The zero value selects the
// whole log as it is now.
type LogOptions struct {
	Tail  int       // only the last lines of the file, if above 0
	Since time.Time // omit older lines
	// Follow waits for more lines until the channel is closed, and then reads the
	// rest. Nil does not wait.
	Follow <-chan struct{}
}

// maxLogLine bounds the memory for one line, in bytes. containerd splits lines at
// 16 KiB. A longer line of the file is emitted in several parts.
const maxLogLine = 256 << 10

// parseLogLine parses one line of a log file, without its newline.
func parseLogLine(line []byte) (LogLine, error) {
	stamp, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok {
		return LogLine{}, errors.New("log line has no time")
	}
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	if err != nil {
		return LogLine{}, fmt.Errorf("log line: %w", err)
	}
	stream, rest, ok := bytes.Cut(rest, []byte(" "))
	if s := string(stream); !ok || s != "stdout" && s != "stderr" {
		return LogLine{}, fmt.Errorf("log line is of stream %q", stream)
	}
	tags, text, ok := bytes.Cut(rest, []byte(" "))
	if !ok {
		return LogLine{}, errors.New("log line has no tag")
	}
	tag, _, _ := bytes.Cut(tags, []byte(":")) // the format reserves further tags
	if s := string(tag); s != "P" && s != "F" {
		return LogLine{}, fmt.Errorf("log line has the tag %q", tag)
	}
	return LogLine{Time: at, Stream: string(stream), Partial: tag[0] == 'P', Text: text}, nil
}

// ReadLog reads the log at path and calls emit with each line, until emit returns
// an error. A line that is not in the CRI format is emitted as Raw. If the log does
// not exist, ReadLog waits for it with Follow, and returns fs.ErrNotExist
// otherwise. It also follows the new file after a rotation.
func ReadLog(ctx context.Context, path string, o LogOptions, emit func(LogLine) error) error {
	r := &logReader{path: path, since: o.Since, follow: o.Follow, emit: emit}
	defer r.close()
	if err := r.read(ctx, o.Tail); err != nil {
		return fmt.Errorf("read log %s: %w", path, err)
	}
	return nil
}

type logReader struct {
	path   string
	since  time.Time
	follow <-chan struct{}
	emit   func(LogLine) error

	file   *os.File
	offset int64
	buf    []byte // beginning of a line whose end is not read yet
	cut    bool   // buf continues a line of which a part was emitted
	head   LogLine
}

func (r *logReader) close() {
	if r.file != nil {
		r.file.Close()
	}
}

func (r *logReader) read(ctx context.Context, tail int) error {
	if err := r.openWaiting(ctx); err != nil || r.file == nil {
		return err
	}
	if tail > 0 {
		offset, err := tailOffset(r.file, tail)
		if err != nil {
			return err
		}
		r.offset = offset
	}
	for {
		// Before drain: everything that was written before Follow was closed
		// must be read.
		last := r.done()
		if err := r.drain(ctx); err != nil {
			return err
		}
		replaced, err := r.replaced(ctx)
		if err != nil {
			return err
		}
		if replaced {
			continue
		}
		if last {
			return r.flush()
		}
		if err := r.wait(ctx); err != nil {
			return err
		}
	}
}

// pollLog is the interval at which a followed log is read.
const pollLog = 40 * time.Millisecond

func (r *logReader) wait(ctx context.Context) error {
	timer := time.NewTimer(pollLog)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.follow:
	case <-timer.C:
	}
	return nil
}

func (r *logReader) done() bool {
	if r.follow == nil {
		return true
	}
	select {
	case <-r.follow:
		return true
	default:
		return false
	}
}

func (r *logReader) openWaiting(ctx context.Context) error {
	for {
		last := r.done()
		f, err := openLog(r.path)
		if err == nil {
			r.file = f
			return nil
		}
		if !errors.Is(err, fs.ErrNotExist) || r.follow == nil {
			return err
		}
		if last {
			return nil // the container never wrote a log
		}
		if err := r.wait(ctx); err != nil {
			return err
		}
	}
}

// openLog opens a log. It returns an error if that is not a regular file, because
// reading a FIFO could block.
func openLog(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// replaced reports whether the log was rotated or truncated. If so, reading
// continues with the new file or at the beginning.
func (r *logReader) replaced(ctx context.Context) (bool, error) {
	held, err := r.file.Stat()
	if err != nil {
		return false, err
	}
	if held.Size() < r.offset {
		r.offset, r.buf, r.cut = 0, r.buf[:0], false
		return true, nil
	}
	named, err := os.Stat(r.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && os.SameFile(held, named) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	f, err := openLog(r.path)
	if err != nil {
		return false, err
	}
	// Lines that were written between the last read and the rotation are in the
	// old file.
	if err := errors.Join(r.drain(ctx), r.flush()); err != nil {
		f.Close()
		return false, err
	}
	r.file.Close()
	r.file, r.offset = f, 0
	return true, nil
}

// drain reads to the current end of the file.
func (r *logReader) drain(ctx context.Context) error {
	chunk := make([]byte, 32<<10)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.file.ReadAt(chunk, r.offset)
		r.offset += int64(n)
		if err := r.take(chunk[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// take splits a chunk of the file into lines.
func (r *logReader) take(chunk []byte) error {
	for len(chunk) > 0 {
		end := bytes.IndexByte(chunk, '\n')
		part := chunk
		if end >= 0 {
			part = chunk[:end]
		}
		if room := maxLogLine - len(r.buf); len(part) > room {
			r.buf = append(r.buf, part[:room]...)
			chunk = chunk[room:]
			if err := r.emitPart(true); err != nil {
				return err
			}
			continue
		}
		r.buf = append(r.buf, part...)
		if end < 0 {
			return nil
		}
		chunk = chunk[end+1:]
		if err := r.emitPart(false); err != nil {
			return err
		}
	}
	return nil
}

// flush emits a last line without a newline.
func (r *logReader) flush() error {
	if len(r.buf) == 0 {
		return nil
	}
	return r.emitPart(false)
}

// emitPart emits the buffer: a line, or with more a part of a line that is too
// long.
func (r *logReader) emitPart(more bool) error {
	line := r.head
	line.Text = r.buf
	if !r.cut {
		var err error
		if line, err = parseLogLine(r.buf); err != nil {
			line = LogLine{Raw: true, Text: r.buf}
		}
		r.head = line
	}
	if more {
		line.Partial = true
	}
	r.cut = more
	defer func() { r.buf = r.buf[:0] }()
	if !line.Raw && line.Time.Before(r.since) {
		return nil
	}
	return r.emit(line)
}

// tailOffset returns the offset of the last lines of a file.
func tailOffset(f *os.File, lines int) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	end := info.Size()
	chunk := make([]byte, 32<<10)
	for first := true; end > 0; first = false {
		start := max(0, end-int64(len(chunk)))
		n, err := f.ReadAt(chunk[:end-start], start)
		if err != nil && err != io.EOF {
			return 0, err
		}
		for i := n - 1; i >= 0; i-- {
			if chunk[i] != '\n' || first && i == n-1 {
				continue
			}
			if lines--; lines == 0 {
				return start + int64(i) + 1, nil
			}
		}
		end = start
	}
	return 0, nil
}
