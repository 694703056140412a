// Command inspector prints a JSON description of its container. The tests of
// package cluster run it under two runtimes and compare.
//
//	inspector                waits until it is stopped
//	inspector report PATH…   prints the report and ends
//	inspector serve          serves port 8080: /good succeeds, all other paths fail
//
// Called as /bin/sh, it is a shell for gates.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/adamant-sh/adamant/test/cluster/inspect"
)

func main() {
	if filepath.Base(os.Args[0]) == "sh" {
		os.Exit(shell(os.Args[len(os.Args)-1]))
	}
	if len(os.Args) < 2 {
		end := make(chan os.Signal, 1)
		signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
		<-end
		return
	}
	if os.Args[1] == "serve" {
		fmt.Fprintln(os.Stderr, "inspector:", serve())
		os.Exit(1)
	}
	if os.Args[1] != "report" {
		fmt.Fprintf(os.Stderr, "inspector: unknown command %q\n", os.Args[1])
		os.Exit(2)
	}
	report, err := inspect.Inspect(os.Args[2:])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(report)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "inspector:", err)
		os.Exit(1)
	}
}

func serve() error {
	return http.ListenAndServe(":8080", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/good" || r.URL.RawQuery != "a=b" {
			http.Error(w, "not good", http.StatusServiceUnavailable)
		}
	}))
}

// shell supports two commands.
func shell(command string) int {
	switch command {
	case "pass":
		return 0
	case "refuse":
		fmt.Println("refused")
		return 3
	}
	return 127
}
