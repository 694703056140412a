package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/adamant-sh/adamant/internal/pod/containerd"
	"github.com/adamant-sh/adamant/internal/workload/api"
	"github.com/adamant-sh/adamant/internal/workload/local"
	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

const (
	replicas = 20
	period   = 1 // of the readiness probe, in seconds
)

var workload = local.Key{Namespace: "default", Kind: "Deployment", Name: "web"}

// A daemonProcess is the real program with its own data directory.
type daemonProcess struct {
	dir    string
	cmd    *exec.Cmd
	log    bytes.Buffer
	client *api.Client
}

// serve starts the daemon and loads the images.
func serve(ctx context.Context, dir string) (d *daemonProcess, err error) {
	d = &daemonProcess{dir: dir, client: api.Dial(api.Socket(filepath.Join(dir, "state")))}
	d.cmd = exec.Command(filepath.Join(dir, "adamant"), "serve")
	d.cmd.Env = append(os.Environ(), d.env()...)
	d.cmd.Stderr = &d.log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // only this process handles Ctrl-C
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	err = until(ctx, "adamant serves", func(ctx context.Context) (bool, error) {
		_, err := d.client.List(ctx)
		if errors.Is(err, api.ErrNotServing) {
			return false, nil
		}
		return true, err
	})
	for _, v := range versions {
		if err == nil {
			err = command(ctx, d.env(), filepath.Join(dir, "adamant"), "load", archive(dir, v))
		}
	}
	return d, err
}

// env has the daemon's directories and, if there is a cluster, the containerd
// that the cluster's kubelet uses.
func (d *daemonProcess) env() []string {
	return []string{
		"ADAMANT_ROOT=" + filepath.Join(d.dir, "root"), "ADAMANT_STATE=" + filepath.Join(d.dir, "state"),
		containerd.BinDirEnv + "=" + os.Getenv("ADAMANT_CLUSTER_CONTAINERD"),
	}
}

// close stops the daemon and removes everything that it created.
func (d *daemonProcess) close() error {
	d.client.Close()
	err := d.cmd.Process.Signal(syscall.SIGTERM)
	if e := d.cmd.Wait(); e != nil {
		err = errors.Join(err, fmt.Errorf("adamant serve: %w\n%s", e, d.log.String()))
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return errors.Join(err, command(ctx, d.env(), filepath.Join(d.dir, "adamant"), "reset", "--yes"))
}

func (d *daemonProcess) roll(ctx context.Context, version string) error {
	return d.apply(ctx, version, replicas, period)
}

// apply applies a version and waits until all instances are ready and compared
// with their image, and those of other versions get no traffic.
func (d *daemonProcess) apply(ctx context.Context, version string, n, period int) error {
	content := append(manifest(version, n, period), service...)
	if _, err := d.client.Apply(ctx, api.ApplyRequest{ManifestFile: api.ManifestFile{File: "web.yaml", Content: content}}); err != nil {
		return err
	}
	return until(ctx, "the rollout is complete", func(ctx context.Context) (bool, error) {
		s, err := d.client.Status(ctx, workload)
		if err == nil && s.Phase.Ended() && s.Phase != rollout.Complete {
			err = fmt.Errorf("the rollout is %s: %s", s.Phase, s.Reason)
		}
		return s.Phase == rollout.Complete && s.Updated == n && s.Ready == n, err
	})
}

// settle waits until the ended instances are gone.
func (d *daemonProcess) settle(ctx context.Context) error {
	return until(ctx, "the old instances are gone", func(ctx context.Context) (bool, error) {
		s, err := d.client.Status(ctx, workload)
		return len(s.Instances) == s.Replicas, err
	})
}

// clear removes the workload.
func (d *daemonProcess) clear(ctx context.Context) error {
	if err := d.client.Delete(ctx, workload); err != nil {
		return err
	}
	return until(ctx, "the workload is gone", func(ctx context.Context) (bool, error) {
		list, err := d.client.List(ctx)
		return len(list) == 0, err
	})
}
