// Command web is the web server of the rollout tests. Its version and its
// nature are files of its image. Called as /bin/sh, it is a shell for gates.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	if filepath.Base(os.Args[0]) == "sh" {
		os.Exit(shell(os.Args[len(os.Args)-1]))
	}
	version, nature := read("/version"), read("/nature")
	if nature == "crashes" {
		time.Sleep(100 * time.Millisecond)
		fmt.Println("this version is broken")
		os.Exit(1)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if nature == "errors" {
			http.Error(w, version, http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, version)
	})
	mux.HandleFunc("/ready", func(w http.ResponseWriter, r *http.Request) {
		if nature == "never ready" {
			http.Error(w, "not yet", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		d, _ := time.ParseDuration(r.FormValue("for"))
		time.Sleep(d)
		fmt.Fprintln(w, version)
	})
	mux.HandleFunc("/write", func(w http.ResponseWriter, r *http.Request) {
		if err := os.WriteFile(r.FormValue("path"), []byte(r.FormValue("content")), 0o644); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
		}
	})
	mux.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { os.Exit(3) })
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		for n := range 20 {
			fmt.Fprintf(w, "data: %d\n\n", n)
			w.(http.Flusher).Flush()
			time.Sleep(100 * time.Millisecond)
		}
		fmt.Fprintln(w, "end")
	})
	handleNames(mux)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var sessions sync.WaitGroup
	mux.HandleFunc("/session", func(w http.ResponseWriter, r *http.Request) { session(ctx, w, &sessions) })
	server := http.Server{Addr: ":8080", Handler: mux, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-ctx.Done()
		server.Shutdown(context.Background())
		sessions.Wait()
	}()
	if nature == "drifts" {
		os.WriteFile("/etc/app.conf", []byte("changed by the program itself\n"), 0o644)
	}
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		fmt.Println(err)
		os.Exit(1)
	}
	<-ended
}

// session switches to a protocol of lines, which the server sends back. As with
// WebSockets, the server ends it with a message, and waits for the client's end.
func session(ctx context.Context, w http.ResponseWriter, all *sync.WaitGroup) {
	all.Add(1)
	defer all.Done()
	c, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: lines\r\n\r\n")
	stop := context.AfterFunc(ctx, func() { c.SetReadDeadline(time.Now()) })
	defer stop()
	for {
		line, err := rw.ReadString('\n')
		if err != nil && ctx.Err() == nil {
			return
		}
		if err != nil {
			break
		}
		fmt.Fprint(c, line)
	}
	fmt.Fprintln(c, "bye")
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	io.Copy(io.Discard, c)
}

func read(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// shell is the image's /bin/sh. It supports three commands.
func shell(command string) int {
	if path, ok := strings.CutPrefix(command, "test -e "); ok {
		if _, err := os.Stat(path); err != nil {
			fmt.Println(err)
			return 1
		}
		return 0
	}
	switch command {
	case "pass":
		return 0
	case "refuse":
		fmt.Println("refused")
		return 3
	}
	return 127
}
