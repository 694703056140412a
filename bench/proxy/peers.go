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
	"strings"
	"syscall"
	"time"
)

const stream = "/usr/lib/nginx/modules/ngx_stream_module.so"

// The backend answers from memory, so that its cost is small.
const backendConf = `daemon off;
pid DIR/backend.pid;
error_log DIR/error.log;
worker_processes 1;
events { worker_connections 1024; }
http {
	access_log off;
	keepalive_requests 1000000000;
	server { listen ADDRESS; location / { return 200 "a small page\n"; } }
}
`

const nginxConf = `daemon off;
load_module ` + stream + `;
pid DIR/stream.pid;
error_log DIR/error.log;
worker_processes 2;
events { worker_connections 1024; }
stream { server { listen ADDRESS; proxy_pass BACKEND; } }
`

const haproxyConf = `global
	maxconn 1024
	nbthread 2
defaults
	mode MODE
	http-reuse always
	timeout connect 5s
	timeout client 1m
	timeout server 1m
listen all
	bind ADDRESS
	server backend BACKEND
`

// start starts the backend and all proxies. stop must also be called after an
// error.
func start(ctx context.Context, dir string) (ways []*way, stop func() error, err error) {
	var running []*exec.Cmd
	stop = func() error {
		var err error
		for _, c := range running {
			err = errors.Join(err, c.Process.Signal(syscall.SIGTERM))
			c.Wait() // ended by a signal, which is not a failure
		}
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, stop, err
	}
	for _, p := range []struct {
		name    string
		command []string
		conf    string // of which the path is the command's last argument
		mode    string // of haproxy
	}{
		direct:      {"no proxy", []string{"nginx", "-c"}, backendConf, ""},
		adamant:     {"adamant", []string{self}, "", ""},
		haproxyHTTP: {"haproxy, mode http", []string{"haproxy", "-q", "-db", "-f"}, haproxyConf, "http"},
		reverse:     {"httputil.ReverseProxy", []string{self, "-reverse"}, "", ""},
		haproxyTCP:  {"haproxy, mode tcp", []string{"haproxy", "-q", "-db", "-f"}, haproxyConf, "tcp"},
		nginx:       {"nginx, stream", []string{"nginx", "-c"}, nginxConf, ""},
	} {
		address, err := freeAddress()
		if err != nil {
			return nil, stop, err
		}
		w := &way{name: p.name, address: address}
		ways = append(ways, w)
		if p.conf == "" {
			p.command = append(p.command, "-serve", address, "-backend", ways[direct].address)
		} else {
			file := filepath.Join(dir, fmt.Sprint(len(ways), ".conf"))
			conf := strings.NewReplacer("DIR", dir, "ADDRESS", address, "BACKEND", ways[direct].address, "MODE", p.mode).Replace(p.conf)
			if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
				return nil, stop, err
			}
			p.command = append(p.command, file)
		}
		c, err := launch(ctx, p.command, address)
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
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM} // this process passes on interrupts
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
