// Command adamant-agent is the program that adamant sends to servers and runs there.
// It is not for people: see internal/servers/agent.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/cmd/internal/agentcmd"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	root := &cobra.Command{Use: "adamant-agent", SilenceErrors: true, SilenceUsage: true}
	servers := &cobra.Command{Use: "servers", Short: "What adamant runs on a server that it visits"}
	servers.AddCommand(agentcmd.Commands(os.Stdin, os.Stdout)...)
	root.AddCommand(servers)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "adamant-agent:", err)
		os.Exit(1)
	}
}
