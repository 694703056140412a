package event

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// fileMode is that of an events file: names of pods and paths are not for everybody.
const fileMode = 0o640

// A File is a Sink of JSON lines. It appends, and opens the file again once its name
// belongs to another one or to none, so that any program may rotate it.
type File struct {
	path string
	file *os.File
}

// NewFile returns the sink of a file, which the first event creates.
func NewFile(path string) *File { return &File{path: path} }

// Name implements Sink.
func (f *File) Name() string { return "the file " + f.path }

// Write implements Sink.
func (f *File) Write(_ context.Context, list []Event) error {
	if err := f.open(); err != nil {
		return err
	}
	text, err := lines(list)
	if err != nil {
		return err
	}
	if _, err = f.file.Write(text); err == nil {
		err = f.file.Sync()
	}
	if err != nil {
		return errors.Join(err, f.Close()) // open ends the line that may be torn
	}
	return nil
}

func lines(list []Event) ([]byte, error) {
	var b bytes.Buffer
	for _, e := range list {
		if err := json.NewEncoder(&b).Encode(e); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// open opens the file unless it is open and still has its name.
func (f *File) open() error {
	if f.file != nil {
		now, err := os.Stat(f.path)
		own, ownErr := f.file.Stat()
		if err == nil && ownErr == nil && os.SameFile(now, own) {
			return nil
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	// Not blocking, because the name may be that of a pipe.
	file, err := os.OpenFile(f.path, os.O_RDWR|os.O_APPEND|os.O_CREATE|unix.O_NONBLOCK, fileMode)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: f.path, Err: errors.New("not a regular file")}
	}
	if err == nil {
		err = endLine(file, info.Size())
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	f.file = file
	return nil
}

// endLine ends a line that a killed process or a full disk left incomplete.
func endLine(f *os.File, size int64) error {
	if size == 0 {
		return nil
	}
	last := make([]byte, 1)
	if _, err := f.ReadAt(last, size-1); err != nil {
		return err
	}
	if last[0] == '\n' {
		return nil
	}
	_, err := f.Write([]byte{'\n'})
	return err
}

// Close implements Sink.
func (f *File) Close() error {
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}

// A Stream is a Sink of JSON lines on an open writer, such as standard output.
type Stream struct{ Out io.Writer }

// Name implements Sink.
func (Stream) Name() string { return "standard output" }

// Write implements Sink.
func (s Stream) Write(_ context.Context, list []Event) error {
	text, err := lines(list)
	if err != nil {
		return err
	}
	if _, err := s.Out.Write(text); err != nil {
		return fmt.Errorf("write events: %w", err)
	}
	return nil
}

// Close implements Sink.
func (Stream) Close() error { return nil }
