// Package docker starts a Docker daemon for benchmarks.
package docker

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

// A Daemon is a dockerd with its own containerd. Its containers have no network
// unless they request one.
type Daemon struct {
	dir        string
	containerd *exec.Cmd
	daemon     *exec.Cmd
	client     *http.Client
}

// Host returns the daemon's address in the format of DOCKER_HOST.
func (d *Daemon) Host() string { return "unix://" + filepath.Join(d.dir, "docker.sock") }

// Start starts the dockerd that Find returned, with all its files below dir,
// and waits until it answers.
func Start(ctx context.Context, dir, dockerd string) (d *Daemon, err error) {
	socket := filepath.Join(dir, "docker.sock")
	d = &Daemon{dir: dir, client: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Stop())
		}
	}()
	at := func(name string) string { return filepath.Join(dir, name) }
	conf := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = %q\n",
		at("containerd"), at("containerd-state"), at("containerd.sock"))
	// The machine's daemon.json must not apply.
	err = errors.Join(os.WriteFile(at("containerd.toml"), []byte(conf), 0o600), os.WriteFile(at("daemon.json"), []byte("{}"), 0o600))
	if err != nil {
		return d, err
	}
	if d.containerd, err = d.daemonize(dockerd, "containerd", "-c", at("containerd.toml")); err != nil {
		return d, err
	}
	d.daemon, err = d.daemonize(dockerd, dockerd,
		"--data-root", at("data"), "--exec-root", at("exec"), "--pidfile", at("docker.pid"), "--config-file", at("daemon.json"),
		"-H", d.Host(), "--containerd", at("containerd.sock"), "--storage-driver", "overlay2",
		"--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false")
	if err != nil {
		return d, err
	}
	return d, d.wait(ctx)
}

// Find returns a dockerd to run: the installed one, or one that is unpacked
// from Debian's package below dir.
func Find(ctx context.Context, dir string) (string, error) {
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

// daemonize starts a daemon with a log, and with the directory of dockerd in
// its PATH.
func (d *Daemon) daemonize(dockerd, name string, args ...string) (*exec.Cmd, error) {
	log, err := os.Create(filepath.Join(d.dir, filepath.Base(name)+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(name, args...)
	sbin := filepath.Dir(dockerd)
	unpacked := filepath.Join(sbin, "../bin") + ":" + sbin
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin:"+unpacked)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // only this process handles Ctrl-C
	return cmd, cmd.Start()
}

func (d *Daemon) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if err := d.Call(ctx, http.MethodGet, "/_ping", nil, nil); err == nil {
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

// Stop removes the containers and stops both daemons.
func (d *Daemon) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var list []struct{ ID string }
	var errs []error
	if d.daemon != nil && d.Call(ctx, http.MethodGet, "/containers/json?all=1", nil, &list) == nil {
		for _, c := range list {
			errs = append(errs, d.Call(ctx, http.MethodDelete, "/containers/"+c.ID+"?force=1", nil, nil))
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

// Call makes one request of the API. A body that is an io.Reader is sent as an
// archive.
func (d *Daemon) Call(ctx context.Context, method, path string, body, answer any) error {
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
