package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// writeImage writes the root file system of an image: files in directories of
// 100, most of them small as in a distribution, and the program to run.
func writeImage(w io.Writer, files int, program string) error {
	t := tar.NewWriter(w)
	random := rand.NewChaCha8([32]byte{1})
	buf := make([]byte, 16<<10)
	for i := range files {
		size := 512
		switch {
		case i%20 == 0:
			size = 16 << 10
		case i%3 == 0:
			size = 4 << 10
		}
		if _, err := random.Read(buf[:size]); err != nil {
			return err
		}
		if err := add(t, file(i), 0o644, buf[:size]); err != nil {
			return err
		}
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	text := []byte("worker_processes 1;\nuser nobody;\n")
	return errors.Join(add(t, "pause", 0o755, content), add(t, "etc/app.conf", 0o644, text), t.Close())
}

func add(t *tar.Writer, name string, mode int64, content []byte) error {
	err := t.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(content)), Typeflag: tar.TypeReg})
	if err != nil {
		return err
	}
	_, err = t.Write(content)
	return err
}

// file returns the name of one of the image's files.
func file(i int) string {
	return fmt.Sprintf("usr/share/d%02d/e%02d/f%03d", i/10_000, i/100%100, i%100)
}

const changesMade = 10

// change makes ten changes in a root file system, and touches two files without
// changing them.
func change(root string) error {
	at := func(name string) string { return filepath.Join(root, name) }
	write := func(name, content string) error { return os.WriteFile(at(name), []byte(content), 0o644) }
	touched, err := os.OpenFile(at(file(900)), os.O_RDWR, 0)
	if err == nil {
		err = touched.Close()
	}
	return errors.Join(err, os.Chmod(at(file(901)), 0o644),
		write("etc/app.conf", "worker_processes 4;\nuser nobody;\n"),
		write(file(101), "changed\n"),
		write(file(202), "changed\n"),
		sameSize(at(file(303))),
		write("etc/new.conf", "new\n"),
		write("usr/share/d00/new", "new\n"),
		os.Remove(at(file(404))),
		os.Remove(at(file(505))),
		os.Chmod(at(file(606)), 0o600),
		os.Chown(at(file(707)), 1, 1),
	)
}

// sameSize edits a file without changing its size and time.
func sameSize(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte("changed"), 0)
	return errors.Join(err, f.Close(), os.Chtimes(name, info.ModTime(), info.ModTime()))
}
