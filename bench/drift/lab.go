package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/adamant-sh/adamant/bench/docker"
)

// A lab is a Docker daemon with the image.
type lab struct {
	*docker.Daemon
	dir string
}

type container struct {
	id  string
	pid int
}

func startLab(ctx context.Context, dir string) (*lab, error) {
	dockerd, err := docker.Find(ctx, dir)
	if err != nil {
		return nil, err
	}
	d, err := docker.Start(ctx, dir, dockerd)
	return &lab{d, dir}, err
}

// load imports the image.
func (d *lab) load(ctx context.Context, files int) error {
	program := filepath.Join(d.dir, "pause")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/adamant-sh/adamant/bench/drift/pause")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.CloseWithError(writeImage(w, files, program))
	}()
	err := d.Call(ctx, http.MethodPost, "/images/create?fromSrc=-&repo=bench&tag=1", io.Reader(r), nil)
	r.CloseWithError(err)
	<-done
	return err
}

// run starts a container of the image.
func (d *lab) run(ctx context.Context) (container, error) {
	var made struct{ ID string }
	spec := map[string]any{"Image": "bench:1", "Cmd": []string{"/pause"}, "HostConfig": map[string]any{"NetworkMode": "none"}}
	if err := d.Call(ctx, http.MethodPost, "/containers/create", spec, &made); err != nil {
		return container{}, err
	}
	if err := d.Call(ctx, http.MethodPost, "/containers/"+made.ID+"/start", nil, nil); err != nil {
		return container{}, err
	}
	var is struct{ State struct{ Pid int } }
	err := d.Call(ctx, http.MethodGet, "/containers/"+made.ID+"/json", nil, &is)
	return container{made.ID, is.State.Pid}, err
}

// changes sends the request of docker diff to the daemon and returns the paths.
func (d *lab) changes(ctx context.Context, id string) ([]string, error) {
	var list []struct{ Path string }
	err := d.Call(ctx, http.MethodGet, "/containers/"+id+"/changes", nil, &list)
	var paths []string
	for _, change := range list {
		paths = append(paths, change.Path)
	}
	return paths, err
}
