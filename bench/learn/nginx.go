package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const clients = 4

// A server is an nginx on the loopback with its own configuration.
type server struct {
	program, conf, pidFile, url string
}

func newServer(ctx context.Context, dir string) (*server, error) {
	program, err := findNginx(ctx, dir)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // the worker is another user
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "index.html"), bytes.Repeat([]byte("<p>page</p>\n"), 50), 0o644); err != nil {
		return nil, err
	}
	s := &server{program: program, conf: filepath.Join(dir, "nginx.conf"), pidFile: filepath.Join(dir, "nginx.pid"),
		url: "http://127.0.0.1:" + strconv.Itoa(port) + "/index.html"}
	conf := fmt.Sprintf(`daemon off;
user nobody nogroup;
worker_processes 1;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log;
events { worker_connections 256; }
http {
	access_log %[1]s/access.log;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	keepalive_requests 1000000;
	server { listen 127.0.0.1:%[2]d; root %[1]s; }
}
`, dir, port)
	return s, os.WriteFile(s.conf, []byte(conf), 0o644)
}

// findNginx returns nginx from PATH or, without installing it, from its
// package.
func findNginx(ctx context.Context, dir string) (string, error) {
	if p, err := exec.LookPath("nginx"); err == nil {
		return p, nil
	}
	into := filepath.Join(dir, "package")
	if err := os.Mkdir(into, 0o777); err != nil {
		return "", err
	}
	get := exec.CommandContext(ctx, "apt-get", "-o", "APT::Sandbox::User=root", "download", "nginx")
	get.Dir = into
	if out, err := get.CombinedOutput(); err != nil {
		return "", fmt.Errorf("download nginx: %w: %s", err, out)
	}
	packages, err := filepath.Glob(filepath.Join(into, "nginx_*.deb"))
	if err != nil || len(packages) != 1 {
		return "", fmt.Errorf("downloaded packages: %q", packages)
	}
	if out, err := exec.CommandContext(ctx, "dpkg", "-x", packages[0], into).CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpack nginx: %w: %s", err, out)
	}
	return filepath.Join(into, "usr/sbin/nginx"), nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// time starts nginx and measures only the requests.
func (s *server) time(ctx context.Context, w tracing, requests int) (d time.Duration, err error) {
	args := append(slices.Clone(w.prefix), s.program, "-c", s.conf)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		stopErr := s.stop(cmd)
		if err = errors.Join(err, stopErr); err != nil {
			err = fmt.Errorf("%w: %s", err, out.String())
		}
	}()
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	if _, err := s.load(ctx, requests/10); err != nil { // warm up
		return 0, err
	}
	return s.load(ctx, requests)
}

func (s *server) ready(ctx context.Context) error {
	for range 1000 {
		if resp, err := http.Get(s.url); err == nil {
			resp.Body.Close()
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return errors.New("nginx does not answer")
}

// load makes requests from a few clients that keep their connections open.
func (s *server) load(ctx context.Context, requests int) (time.Duration, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	var left atomic.Int64
	left.Store(int64(requests))
	errs := make([]error, clients)
	var all sync.WaitGroup
	began := time.Now()
	for i := range clients {
		all.Go(func() {
			for left.Add(-1) >= 0 && errs[i] == nil {
				errs[i] = get(ctx, client, s.url)
			}
		})
	}
	all.Wait()
	return time.Since(began), errors.Join(errs...)
}

func get(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// stop stops nginx by its own process, independently of the tracer, and waits.
func (s *server) stop(cmd *exec.Cmd) error {
	data, err := os.ReadFile(s.pidFile)
	if err == nil {
		var pid int
		if pid, err = strconv.Atoi(strings.TrimSpace(string(data))); err == nil {
			err = syscall.Kill(pid, syscall.SIGQUIT)
		}
	}
	if err != nil {
		cmd.Process.Kill()
	}
	return errors.Join(err, cmd.Wait())
}
