package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// docker is a daemon with a containerd, both started here and nobody else's.
type docker struct {
	dir        string
	containerd *exec.Cmd
	daemon     *exec.Cmd
	client     *http.Client
}

type container struct {
	id  string
	pid int
}

func startDocker(ctx context.Context, dir string) (d *docker, err error) {
	dockerd, err := findDockerd(ctx, dir)
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, "docker.sock")
	d = &docker{dir: dir, client: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.stop())
		}
	}()
	at := func(name string) string { return filepath.Join(dir, name) }
	conf := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = %q\n",
		at("containerd"), at("containerd-state"), at("containerd.sock"))
	// The machine's own daemon.json must not count.
	err = errors.Join(os.WriteFile(at("containerd.toml"), []byte(conf), 0o600), os.WriteFile(at("daemon.json"), []byte("{}"), 0o600))
	if err != nil {
		return d, err
	}
	if d.containerd, err = d.daemonize("containerd", "-c", at("containerd.toml")); err != nil {
		return d, err
	}
	d.daemon, err = d.daemonize(dockerd,
		"--data-root", at("data"), "--exec-root", at("exec"), "--pidfile", at("docker.pid"), "--config-file", at("daemon.json"),
		"-H", "unix://"+socket, "--containerd", at("containerd.sock"), "--storage-driver", "overlay2",
		"--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false")
	if err != nil {
		return d, err
	}
	return d, d.wait(ctx)
}

// findDockerd returns a dockerd to run: the one that is installed, or one that
// is unpacked from Debian's package.
func findDockerd(ctx context.Context, dir string) (string, error) {
	if path, err := exec.LookPath("dockerd"); err == nil {
		return path, nil
	}
	unpack := exec.CommandContext(ctx, "sh", "-ec", "mkdir deb; cd deb; apt-get -q download docker.io; dpkg -x docker.io_*.deb root")
	unpack.Dir = dir
	if out, err := unpack.CombinedOutput(); err != nil {
		return "", fmt.Errorf("docker.io cannot be had: %w\n%s", err, out)
	}
	return filepath.Join(dir, "deb/root/usr/sbin/dockerd"), nil
}

// daemonize starts a daemon with what is unpacked in its PATH and a log.
func (d *docker) daemonize(name string, args ...string) (*exec.Cmd, error) {
	log, err := os.Create(filepath.Join(d.dir, filepath.Base(name)+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(name, args...)
	unpacked := filepath.Join(d.dir, "deb/root/usr/bin") + ":" + filepath.Join(d.dir, "deb/root/usr/sbin")
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin:"+unpacked)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us alone
	return cmd, cmd.Start()
}

func (d *docker) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if err := d.call(ctx, http.MethodGet, "/_ping", nil, nil); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(d.dir, "dockerd.log"))
			return fmt.Errorf("dockerd does not answer: %w\n%s", ctx.Err(), log)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stop removes the containers and ends both daemons.
func (d *docker) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var list []struct{ ID string }
	var errs []error
	if d.daemon != nil && d.call(ctx, http.MethodGet, "/containers/json?all=1", nil, &list) == nil {
		for _, c := range list {
			errs = append(errs, d.call(ctx, http.MethodDelete, "/containers/"+c.ID+"?force=1", nil, nil))
		}
	}
	for _, cmd := range []*exec.Cmd{d.daemon, d.containerd} {
		if cmd == nil || cmd.Process == nil {
			continue
		}
		errs = append(errs, cmd.Process.Signal(syscall.SIGTERM))
		var exit *exec.ExitError
		if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// call makes one request of the API. A body that is a reader is an archive.
func (d *docker) call(ctx context.Context, method, path string, body, answer any) error {
	var r io.Reader
	kind := "application/json"
	switch b := body.(type) {
	case nil:
	case io.Reader:
		r, kind = b, "application/x-tar"
	default:
		data, err := json.Marshal(b)
		if err != nil {
			return err
		}
		r = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://docker"+path, r)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", kind)
	res, err := d.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 || strings.Contains(string(data), `"errorDetail"`) {
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, data)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(data, answer)
}

// load imports the image.
func (d *docker) load(ctx context.Context, files int) error {
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
	err := d.call(ctx, http.MethodPost, "/images/create?fromSrc=-&repo=bench&tag=1", io.Reader(r), nil)
	r.CloseWithError(err)
	<-done
	return err
}

// run starts a container of the image.
func (d *docker) run(ctx context.Context) (container, error) {
	var made struct{ ID string }
	spec := map[string]any{"Image": "bench:1", "Cmd": []string{"/pause"}, "HostConfig": map[string]any{"NetworkMode": "none"}}
	if err := d.call(ctx, http.MethodPost, "/containers/create", spec, &made); err != nil {
		return container{}, err
	}
	if err := d.call(ctx, http.MethodPost, "/containers/"+made.ID+"/start", nil, nil); err != nil {
		return container{}, err
	}
	var is struct{ State struct{ Pid int } }
	err := d.call(ctx, http.MethodGet, "/containers/"+made.ID+"/json", nil, &is)
	return container{made.ID, is.State.Pid}, err
}

// changes does what docker diff asks the daemon for, and returns the paths.
func (d *docker) changes(ctx context.Context, id string) ([]string, error) {
	var list []struct{ Path string }
	err := d.call(ctx, http.MethodGet, "/containers/"+id+"/changes", nil, &list)
	var paths []string
	for _, change := range list {
		paths = append(paths, change.Path)
	}
	return paths, err
}
