// Command web is the web server of the rollout tests. Its version and its
// nature are files of its image. Called as /bin/sh, it is a shell for gates.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
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
	server := http.Server{Addr: ":8080", Handler: mux}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		server.Shutdown(context.Background())
	}()
	if nature == "drifts" {
		os.WriteFile("/etc/app.conf", []byte("changed by the program itself\n"), 0o644)
	}
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		fmt.Println(err)
		os.Exit(1)
	}
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
