// Command inspector prints, as JSON, what its container looks like from inside.
// The tests of package cluster run it under two engines and compare.
//
//	inspector                wait until it is told to end
//	inspector report PATH…   print the report and end
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/adamant-sh/adamant/test/cluster/inspect"
)

func main() {
	if len(os.Args) < 2 {
		end := make(chan os.Signal, 1)
		signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
		<-end
		return
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
