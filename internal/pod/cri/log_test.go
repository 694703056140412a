package cri

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const stamp = "2026-11-23T10:00:00.5Z "

// record collects lines with copies of their texts.
type record struct {
	Stream, Text string
	Partial, Raw bool
}

func collect(into *[]record) func(LogLine) error {
	return func(l LogLine) error {
		*into = append(*into, record{l.Stream, string(l.Text), l.Partial, l.Raw})
		return nil
	}
}

func TestReadLog(t *testing.T) {
	long := strings.Repeat("x", maxLogLine)
	for _, c := range []struct {
		name, file string
		opts       LogOptions
		want       []record
	}{
		{name: "empty"},
		{name: "both streams", file: stamp + "stdout F one\n" + stamp + "stderr F two\n",
			want: []record{{Stream: "stdout", Text: "one"}, {Stream: "stderr", Text: "two"}}},
		{name: "a line in parts", file: stamp + "stdout P on\n" + stamp + "stdout F e\n",
			want: []record{{Stream: "stdout", Text: "on", Partial: true}, {Stream: "stdout", Text: "e"}}},
		{name: "further tags", file: stamp + "stdout P:x:y a b \n", want: []record{{Stream: "stdout", Text: "a b ", Partial: true}}},
		{name: "an empty line", file: stamp + "stdout F \n", want: []record{{Stream: "stdout"}}},
		{name: "no end", file: stamp + "stdout F one", want: []record{{Stream: "stdout", Text: "one"}}},
		{name: "not in the format", file: "hello\n" + stamp + "stdin F x\n", want: []record{{Text: "hello", Raw: true}, {Text: stamp + "stdin F x", Raw: true}}},
		{name: "tail", file: stamp + "stdout F 1\n" + stamp + "stdout F 2\n" + stamp + "stdout F 3\n", opts: LogOptions{Tail: 2},
			want: []record{{Stream: "stdout", Text: "2"}, {Stream: "stdout", Text: "3"}}},
		{name: "tail longer than the file", file: stamp + "stdout F 1\n", opts: LogOptions{Tail: 5}, want: []record{{Stream: "stdout", Text: "1"}}},
		{name: "since", file: "2026-11-23T09:00:00Z stdout F old\n" + stamp + "stdout F new\n",
			opts: LogOptions{Since: time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)}, want: []record{{Stream: "stdout", Text: "new"}}},
		{name: "a line too long", file: stamp + "stderr F " + long + "\n" + stamp + "stdout F x\n",
			want: []record{
				{Stream: "stderr", Text: long[:maxLogLine-len(stamp+"stderr F ")], Partial: true},
				{Stream: "stderr", Text: long[:len(stamp+"stderr F ")]},
				{Stream: "stdout", Text: "x"},
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.log")
			if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			var got []record
			if err := ReadLog(t.Context(), path, c.opts, collect(&got)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got, c.want); diff != "" {
				t.Errorf("lines (-got +want):\n%s", diff)
			}
		})
	}
}

func TestReadLogThatIsNotThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	if err := ReadLog(t.Context(), path, LogOptions{}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got error %v, want fs.ErrNotExist", err)
	}
	ended := make(chan struct{})
	close(ended)
	if err := ReadLog(t.Context(), path, LogOptions{Follow: ended}, nil); err != nil {
		t.Errorf("a container that ended without a log: %v", err)
	}
}

// TestFollow writes, rotates and truncates a log while it is read. No line that was
// written before Follow was closed may be missing.
func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	ended := make(chan struct{})
	lines := make(chan string)
	result := make(chan error, 1)
	go func() {
		result <- ReadLog(t.Context(), path, LogOptions{Follow: ended}, func(l LogLine) error {
			lines <- string(l.Text)
			return nil
		})
	}()
	write := func(flag int, text string) {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|flag, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(stamp + "stdout F " + text + "\n"); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-lines:
			if got != want {
				t.Fatalf("got line %q, want %q", got, want)
			}
		case err := <-result:
			t.Fatalf("ended (%v) before %q", err, want)
		}
	}
	write(os.O_APPEND, "first")
	expect("first")
	write(os.O_APPEND, "second")
	expect("second")
	write(os.O_APPEND, "before rotation")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(os.O_APPEND, "after rotation")
	expect("before rotation")
	expect("after rotation")
	write(os.O_TRUNC, "cut")
	expect("cut")
	write(os.O_APPEND, "last")
	close(ended)
	expect("last")
	if err := <-result; err != nil {
		t.Error(err)
	}
}

// TestCutWithinALongLine truncates a log within a long line. The next line is not
// the rest of that line.
func TestCutWithinALongLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	if err := os.WriteFile(path, []byte(stamp+"stderr F "+strings.Repeat("x", maxLogLine)), 0o600); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	var got []record
	err := ReadLog(t.Context(), path, LogOptions{Follow: ended}, func(l LogLine) error {
		if len(got) == 0 { // of the long line
			if err := os.WriteFile(path, []byte(stamp+"stdout F next\n"), 0o600); err != nil {
				return err
			}
			close(ended)
		}
		got = append(got, record{l.Stream, string(l.Text), l.Partial, l.Raw})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[1] != (record{Stream: "stdout", Text: "next"}) {
		t.Errorf("got %d lines, the last one %.80v; want the next one whole", len(got), got[len(got)-1])
	}
}

func TestFollowEndsWithItsContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	ctx, cancel := context.WithCancel(t.Context())
	if err := os.WriteFile(path, []byte(stamp+"stdout F x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := ReadLog(ctx, path, LogOptions{Follow: make(chan struct{})}, func(LogLine) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want context.Canceled", err)
	}
}

// FuzzParseLogLine checks that a parsed line can be formatted and parsed again.
func FuzzParseLogLine(f *testing.F) {
	f.Add([]byte(stamp + "stdout F hello"))
	f.Add([]byte(stamp + "stderr P:a "))
	f.Add([]byte("2026-11-23T10:00:00+01:00 stdout F \x00\xff"))
	f.Fuzz(func(t *testing.T, line []byte) {
		got, err := parseLogLine(line)
		if err != nil {
			return
		}
		tag := "F"
		if got.Partial {
			tag = "P"
		}
		again, err := parseLogLine([]byte(got.Time.Format(time.RFC3339Nano) + " " + got.Stream + " " + tag + " " + string(got.Text)))
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if !again.Time.Equal(got.Time) || again.Stream != got.Stream || again.Partial != got.Partial || !bytes.Equal(again.Text, got.Text) {
			t.Errorf("%q is read as %+v, then as %+v", line, got, again)
		}
	})
}
