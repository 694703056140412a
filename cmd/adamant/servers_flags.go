package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/adamant-sh/adamant/internal/servers"
)

// serverFlags are the flags for selecting and reaching servers.
type serverFlags struct {
	inventories []string
	sshConfig   string
	sudo        bool
	askSudo     bool
	askPassword bool
	parallel    int
	patience    time.Duration
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
	hosts, err := w.selected(cmd.Context(), silent, nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, h := range hosts {
		names = append(append(names, h.Name), h.Groups...)
	}
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(name string) bool { return slices.Contains(args, name) })
	return names, cobra.ShellCompDirectiveNoFileComp
}

// reachFlags adds the flags of commands that connect.
func (w *serverFlags) reachFlags(cmd *cobra.Command) {
	w.flags(cmd)
	flags := cmd.Flags()
	flags.BoolVarP(&w.sudo, "sudo", "b", false, "become root through sudo, also where the inventory does not say ansible_become")
	flags.BoolVarP(&w.askSudo, "ask-sudo-password", "K", false, "ask once for sudo's password, for servers that have none in the inventory")
	flags.BoolVarP(&w.askPassword, "ask-password", "k", false, "ask once for the password to log in, for servers that have none in the inventory")
	flags.IntVar(&w.parallel, "parallel", 20, "servers that are asked at the same time")
	flags.DurationVar(&w.patience, "patience", time.Hour, "how long a server may take to be read and to answer")
}

// hosts returns the servers that match patterns, with their logins. Without patterns
// it returns all servers of the inventory.
func (w *serverFlags) hosts(ctx context.Context, a *app, patterns []string) ([]servers.Host, error) {
	hosts, err := w.selected(ctx, a, patterns)
	if err != nil {
		return nil, err
	}
	return hosts, w.complete(a, hosts)
}

// host returns the one server that a pattern matches. reason ends the error that is
// returned if there are more.
func (w *serverFlags) host(ctx context.Context, a *app, pattern, reason string) (servers.Host, error) {
	hosts, err := w.hosts(ctx, a, []string{pattern})
	if err != nil {
		return servers.Host{}, err
	}
	if len(hosts) != 1 {
		return servers.Host{}, usagef("%s are %d servers; %s", pattern, len(hosts), reason)
	}
	return hosts[0], nil
}

// group returns the servers that match patterns, to be compared.
func (w *serverFlags) group(ctx context.Context, a *app, patterns []string) (*servers.Group, error) {
	hosts, err := w.hosts(ctx, a, patterns)
	if err != nil {
		return nil, err
	}
	o, err := w.options(a)
	return &servers.Group{Hosts: hosts, Options: o}, err
}

// selected returns the servers that match patterns, with the logins of the inventory
// only.
func (w *serverFlags) selected(ctx context.Context, a *app, patterns []string) ([]servers.Host, error) {
	inv, err := w.inventory(ctx, a, len(patterns) > 0)
	if err != nil {
		return nil, err
	}
	if len(patterns) == 0 {
		patterns = []string{"all"}
	}
	return inv.Select(patterns)
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

// complete adds the logins to hosts that the flags and the user give.
func (w *serverFlags) complete(a *app, hosts []servers.Host) error {
	login := servers.Login{Sudo: w.sudo}
	var err error
	if w.askPassword {
		if login.Password, err = a.askSecret("password: "); err != nil {
			return err
		}
	}
	if w.askSudo {
		if login.SudoPassword, err = a.askSecret("password for sudo: "); err != nil {
			return err
		}
	}
	login.Complete(hosts)
	return nil
}

// askSecret prompts for a password on the terminal, because standard input may be
// redirected.
func (a *app) askSecret(prompt string) (servers.Secret, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return servers.Secret{}, hint{errors.New("there is no terminal to ask for a password on"), "say it in the inventory: ansible_password, ansible_become_password"}
	}
	defer tty.Close()
	a.log.Pause()
	defer a.log.Resume()
	fmt.Fprint(tty, prompt)
	text, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(tty)
	if err != nil {
		return servers.Secret{}, fmt.Errorf("ask for a password: %w", err)
	}
	return servers.NewSecret(string(text)), nil
}

// options returns the options for reaching servers.
func (w *serverFlags) options(a *app) (servers.Options, error) {
	var o servers.Options
	self, err := os.Executable()
	if err != nil {
		return o, fmt.Errorf("find this program: %w", err)
	}
	if o.Programs, err = servers.LoadPrograms(self); err != nil {
		return o, err
	}
	if missing := o.Programs.Missing(); missing != "" {
		a.progress("note: %s", missing)
	}
	o.Remote.AskPassword = func(prompt string) (string, error) {
		s, err := a.askSecret(prompt)
		return s.Reveal(), err
	}
	o.Patience, o.Parallel = w.patience, w.parallel
	o.Progress = func(total int) (step, end func()) {
		p := a.log.Start("reading servers", int64(total), func(n int64) string { return strconv.FormatInt(n, 10) })
		return func() { p.Add(1) }, p.End
	}
	return o, nil
}
