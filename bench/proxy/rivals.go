package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const stream = "/usr/lib/nginx/modules/ngx_stream_module.so"

// The backend answers from memory, so that it is not what is measured.
const backendConf = `daemon off;
pid %[1]s/backend.pid;
error_log %[1]s/error.log;
worker_processes 1;
events { worker_connections 1024; }
http {
	access_log off;
	keepalive_requests 1000000000;
	server { listen %[2]s; location / { return 200 "a small page\n"; } }
}
`

const nginxConf = `daemon off;
load_module ` + stream + `;
pid %[1]s/stream.pid;
error_log %[1]s/error.log;
worker_processes 2;
events { worker_connections 1024; }
stream { server { listen %[2]s; proxy_pass %[3]s; } }
`

const haproxyConf = `global
	maxconn 1024
	nbthread 2
defaults
	mode tcp
	timeout connect 5s
	timeout client 1m
	timeout server 1m
listen all
	bind %[2]s
	server backend %[3]s
`

// start starts the backend and all proxies before it. stop must be called also
// after an error.
func start(ctx context.Context, dir string) (ways []*way, stop func() error, err error) {
	var running []*exec.Cmd
	stop = func() error {
		var err error
		for _, c := range running {
			err = errors.Join(err, c.Process.Signal(syscall.SIGTERM))
			c.Wait() // of a signal: that is no failure
		}
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, stop, err
	}
	for _, p := range []struct {
		name, conf string
		command    []string
	}{
		direct:  {"no proxy", backendConf, []string{"nginx", "-c"}},
		adamant: {"adamant", "", nil},
		haproxy: {"haproxy, mode tcp", haproxyConf, []string{"haproxy", "-q", "-db", "-f"}},
		nginx:   {"nginx, stream", nginxConf, []string{"nginx", "-c"}},
	} {
		address, err := freeAddress()
		if err != nil {
			return nil, stop, err
		}
		w := &way{name: p.name, address: address}
		ways = append(ways, w)
		command := append(p.command, filepath.Join(dir, fmt.Sprint(len(ways), ".conf")))
		if p.conf == "" {
			command = []string{self, "-serve", address, "-backend", ways[direct].address}
		} else if err := os.WriteFile(command[len(command)-1], fmt.Appendf(nil, p.conf, dir, address, ways[direct].address), 0o644); err != nil {
			return nil, stop, err
		}
		c, err := launch(ctx, command, address)
		if c != nil {
			running = append(running, c)
		}
		if err != nil {
			return nil, stop, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return ways, stop, nil
}

// launch starts a program and waits until it listens.
func launch(ctx context.Context, command []string, address string) (*exec.Cmd, error) {
	c := exec.Command(command[0], command[1:]...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM} // an interrupt is ours to pass on
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		return nil, err
	}
	for range 500 {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return c, conn.Close()
		}
		select {
		case <-ctx.Done():
			return c, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return c, fmt.Errorf("does not listen on %s: %s", address, out.String())
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
