package main

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/servers"
	"github.com/adamant-sh/adamant/internal/terminal"
)

// serverFlags are the flags for selecting and reaching servers.
type serverFlags struct {
	inventories []string
	sshConfig   string
	login       servers.Login
	reach       servers.Options
}

func (w *serverFlags) flags(cmd *cobra.Command) {
	cmd.ValidArgsFunction = w.completeServers
	flags := cmd.Flags()
	flags.StringArrayVarP(&w.inventories, "inventory", "i", nil, "an Ansible inventory, a file or directory; may be repeated; also $ADAMANT_INVENTORY")
	flags.StringVarP(&w.sshConfig, "ssh-config", "F", "", "instead of ~/.ssh/config and /etc/ssh/ssh_config")
}

// completeServers completes the names of the servers and groups in the inventory.
func (w *serverFlags) completeServers(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	silent := &app{in: strings.NewReader(""), out: io.Discard, err: io.Discard}
	s, err := w.selected(cmd.Context(), silent, nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := slices.DeleteFunc(servers.Names(s.Hosts), func(name string) bool { return slices.Contains(args, name) })
	return names, cobra.ShellCompDirectiveNoFileComp
}

// reachFlags adds the flags of commands that connect.
func (w *serverFlags) reachFlags(cmd *cobra.Command) {
	w.flags(cmd)
	flags := cmd.Flags()
	flags.BoolVarP(&w.login.Sudo, "sudo", "b", false, "become root through sudo, also where the inventory does not say ansible_become")
	flags.BoolVarP(&w.login.AskSudoPassword, "ask-sudo-password", "K", false, "ask once for sudo's password, for servers that have none in the inventory")
	flags.BoolVarP(&w.login.AskPassword, "ask-password", "k", false, "ask once for the password to log in, for servers that have none in the inventory")
	flags.IntVar(&w.reach.Parallel, "parallel", 20, "servers that are asked at the same time")
	flags.DurationVar(&w.reach.Patience, "patience", time.Hour, "how long a server may take to be read and to answer")
}

// hosts returns the servers that match patterns, with their logins. Without patterns
// it returns all servers of the inventory.
func (w *serverFlags) hosts(ctx context.Context, a *app, patterns []string) (servers.Selection, error) {
	s, err := w.selected(ctx, a, patterns)
	if err != nil {
		return s, err
	}
	return s, w.login.Complete(a.askPassword, s.Hosts)
}

// host returns the one server that a pattern matches, and the options for reaching
// it. reason ends the error that is returned if there are more.
func (w *serverFlags) host(ctx context.Context, a *app, pattern, reason string) (h servers.Host, o servers.Options, err error) {
	s, err := w.hosts(ctx, a, []string{pattern})
	if err == nil {
		err = s.Err()
	}
	if err != nil {
		return h, o, err
	}
	if len(s.Hosts) != 1 {
		return h, o, usagef("%s are %d servers; %s", pattern, len(s.Hosts), reason)
	}
	o, err = w.options(a)
	return s.Hosts[0], o, err
}

// selected returns the servers that match patterns, with the logins of the inventory
// only.
func (w *serverFlags) selected(ctx context.Context, a *app, patterns []string) (servers.Selection, error) {
	inv, err := w.inventory(ctx, a, len(patterns) > 0)
	if err != nil {
		return servers.Selection{}, err
	}
	if len(patterns) == 0 {
		patterns = []string{"all"}
	}
	s, err := inv.Select(patterns)
	a.noteSettings(s)
	return s, err
}

// noteSettings prints the settings of servers that are ignored.
func (a *app) noteSettings(s servers.Selection) {
	for _, n := range s.Notes {
		a.progress("note: %s: %s", n.Origin, n.Text)
	}
}

// inventory loads the inventory, which is only optional if servers are named.
func (w *serverFlags) inventory(ctx context.Context, a *app, named bool) (servers.Inventory, error) {
	inventories := w.inventories
	if env := os.Getenv("ADAMANT_INVENTORY"); len(inventories) == 0 && env != "" {
		inventories = []string{env}
	}
	if !named && len(inventories) == 0 {
		return servers.Inventory{}, usagef("no server is named, and no inventory is given")
	}
	inv, err := servers.LoadInventory(ctx, servers.InventoryOptions{Inventories: inventories, SSHConfig: w.sshConfig})
	for _, n := range inv.Notes {
		a.progress("note: %s: %s", n.Origin, n.Text)
	}
	return inv, err
}

// askPassword prompts for a password on the terminal.
func (a *app) askPassword(prompt string) (string, error) {
	password, err := a.log.AskPassword(prompt)
	if errors.Is(err, terminal.ErrNoTerminal) {
		err = hint{err, "say it in the inventory: ansible_password, ansible_become_password"}
	}
	return password, err
}

// options returns the options for reaching servers.
func (w *serverFlags) options(a *app) (o servers.Options, err error) {
	o = w.reach
	if o.Programs, err = servers.LoadPrograms(); err != nil {
		return o, err
	}
	if missing := o.Programs.Missing(); missing != "" {
		a.progress("note: %s", missing)
	}
	o.Remote.AskPassword = a.askPassword
	o.Progress = a.log.Counter("reading servers")
	return o, nil
}
