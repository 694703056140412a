package main

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// inputs are the names of the files and folders that are checked.
type inputs struct{ file, folder, single, stream string }

// deployment is one Deployment of two containers, with %d for its number. Every program that
// is measured reports something in it.
//
//go:embed deployment.yaml
var deployment string

// generate writes the inputs. It holds none of them, see program.run.
func generate(dir string, objects, streamed int) (inputs, error) {
	in := inputs{dir + "/one.yaml", dir + "/files", dir + "/single.yaml", dir + "/stream.yaml"}
	err := errors.Join(write(in.file, 0, objects), write(in.single, 0, 1), write(in.stream, 0, streamed), os.Mkdir(in.folder, 0o755))
	for i := 0; i < objects && err == nil; i++ {
		err = write(filepath.Join(in.folder, fmt.Sprintf("%d.yaml", i)), i, 1)
	}
	return in, err
}

// write writes a file of n Deployments.
func write(name string, first, n int) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	for i := first; i < first+n; i++ {
		if i > first {
			io.WriteString(w, "---\n") // the error is that of Flush
		}
		fmt.Fprintf(w, deployment, i)
	}
	return w.Flush()
}
