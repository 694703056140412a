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
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/servers/agent"
	visit "github.com/adamant-sh/adamant/internal/servers/connect"
	"github.com/adamant-sh/adamant/internal/servers/inventory"
	"github.com/adamant-sh/adamant/internal/servers/ssh"
)

func newServersCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "servers",
		Short: "Compare servers, update them in place, and find the odd one out",
		Long: `The mutable world, over SSH: what differs between servers that should be the
same, and what it comes of. Nothing is installed on them.

Which servers there are is read from Ansible's inventories (INI or YAML, with
their group_vars and host_vars) and from ssh_config; user@host:port works, too.
PATTERN is as Ansible has it: a host or group, web*, 'web:!web-3', web[0:2], all.
Host keys are always verified.`,
		Example: `  adamant servers list -i hosts.ini
  adamant servers compare -i hosts.ini web
  adamant servers compare root@10.0.0.1 root@10.0.0.2 root@10.0.0.3`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newServersListCommand(a), newServersCompareCommand(a), newServersSnapshotCommand(a), newServersWatchCommand(a), newServersUpdateCommand(a), newServersHistoryCommand(a), newServersPlanCommand(a), newServersCaptureCommand(a), newServersReplaceCommand(a))
	for _, c := range agent.Commands(a.in, a.out) {
		c.Hidden = true
		cmd.AddCommand(c)
	}
	return cmd
}

// which says what servers are meant and how they are reached.
type which struct {
	inventories []string
	sshConfig   string
	sudo        bool
	askSudo     bool
	askPassword bool
	parallel    int
	patience    time.Duration
}

func (w *which) flags(cmd *cobra.Command) {
	cmd.ValidArgsFunction = w.completeServers
	flags := cmd.Flags()
	flags.StringArrayVarP(&w.inventories, "inventory", "i", nil, "an Ansible inventory, a file or directory; may be repeated; also $ADAMANT_INVENTORY")
	flags.StringVarP(&w.sshConfig, "ssh-config", "F", "", "instead of ~/.ssh/config and /etc/ssh/ssh_config")
}

// completeServers completes the names of servers and groups of the inventory.
func (w *which) completeServers(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
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

// reachFlags are those of commands that connect.
func (w *which) reachFlags(cmd *cobra.Command) {
	w.flags(cmd)
	flags := cmd.Flags()
	flags.BoolVarP(&w.sudo, "sudo", "b", false, "become root through sudo, also where the inventory does not say ansible_become")
	flags.BoolVarP(&w.askSudo, "ask-sudo-password", "K", false, "ask once for sudo's password, for servers that have none in the inventory")
	flags.BoolVarP(&w.askPassword, "ask-password", "k", false, "ask once for the password to log in, for servers that have none in the inventory")
	flags.IntVar(&w.parallel, "parallel", 20, "servers that are asked at the same time")
	flags.DurationVar(&w.patience, "patience", time.Hour, "how long a server may take to be read and to answer")
}

// hosts are the servers that patterns stand for; all of the inventory without.
func (w *which) hosts(ctx context.Context, a *app, patterns []string) ([]inventory.Host, error) {
	hosts, err := w.selected(ctx, a, patterns)
	if err != nil {
		return nil, err
	}
	return hosts, w.complete(a, hosts)
}

// selected are the servers that patterns mean, as the inventory says it.
func (w *which) selected(ctx context.Context, a *app, patterns []string) ([]inventory.Host, error) {
	inventories := w.inventories
	if env := os.Getenv("ADAMANT_INVENTORY"); len(inventories) == 0 && env != "" {
		inventories = []string{env}
	}
	if len(patterns) == 0 {
		if len(inventories) == 0 {
			return nil, usagef("no server is named, and no inventory is given")
		}
		patterns = []string{"all"}
	}
	inv, err := inventory.Load(ctx, inventory.Options{Inventories: inventories, SSHConfig: w.sshConfig})
	if err != nil {
		return nil, err
	}
	for _, n := range inv.Notes {
		a.progress("note: %s: %s", n.Origin, n.Text)
	}
	return inv.Select(patterns)
}

// complete adds what flags and the user say to what the inventory says.
func (w *which) complete(a *app, hosts []inventory.Host) error {
	var sudo, login inventory.Secret
	var err error
	if w.askPassword {
		if login, err = a.askSecret("password: "); err != nil {
			return err
		}
	}
	if w.askSudo {
		if sudo, err = a.askSecret("password for sudo: "); err != nil {
			return err
		}
	}
	for i := range hosts {
		h := &hosts[i]
		if w.sudo && !h.Become.On {
			h.Become = inventory.Become{On: true, User: "root", Password: h.Become.Password}
		}
		if h.Become.Password.IsZero() {
			h.Become.Password = sudo
		}
		if h.Password.IsZero() {
			h.Password = login
		}
	}
	return nil
}

// askSecret asks on the terminal, whatever the streams are.
func (a *app) askSecret(prompt string) (inventory.Secret, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return inventory.Secret{}, hint{errors.New("there is no terminal to ask for a password on"), "say it in the inventory: ansible_password, ansible_become_password"}
	}
	defer tty.Close()
	fmt.Fprint(tty, prompt)
	text, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(tty)
	if err != nil {
		return inventory.Secret{}, fmt.Errorf("ask for a password: %w", err)
	}
	return inventory.NewSecret(string(text)), nil
}

// visits is how this program visits servers.
func (w *which) visits(a *app) (visit.Options, error) {
	self, err := os.Executable()
	if err != nil {
		return visit.Options{}, fmt.Errorf("find this program: %w", err)
	}
	programs, err := visit.LoadPrograms(self)
	if err != nil {
		return visit.Options{}, err
	}
	if missing := programs.Missing(); missing != "" {
		a.progress("note: %s", missing)
	}
	ask := func(prompt string) (string, error) {
		s, err := a.askSecret(prompt)
		return s.Reveal(), err
	}
	return visit.Options{Programs: programs, Remote: ssh.Options{AskPassword: ask}, Patience: w.patience}, nil
}

// each calls f for all hosts, so many at the same time, and returns the errors in
// the hosts' order.
func (w *which) each(a *app, hosts []inventory.Host, what string, f func(i int, h inventory.Host) error) []error {
	errs := make([]error, len(hosts))
	places := make(chan struct{}, max(w.parallel, 1))
	p := a.startProgress(what, int64(len(hosts)), func(n int64) string { return strconv.FormatInt(n, 10) })
	defer p.end()
	var wg sync.WaitGroup
	for i, h := range hosts {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			errs[i] = f(i, h)
			p.add(1)
		})
	}
	wg.Wait()
	return errs
}

func newServersListCommand(a *app) *cobra.Command {
	var w which
	cmd := &cobra.Command{
		Use:   "list [PATTERN...]",
		Short: "List the servers that patterns stand for, and how they are reached",
		Long: `List shows the servers, and connects to none: address, user, the way through
other servers, and the groups of each.`,
		Example: `  adamant servers list -i hosts.ini
  adamant servers list -i inventory/ 'web:!web-3' -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			hosts, err := w.hosts(cmd.Context(), a, args)
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(document.NewList(document.ServerList, serverList(hosts)))
			}
			return a.printServers(hosts)
		},
	}
	w.flags(cmd)
	return cmd
}

func (a *app) printServers(hosts []inventory.Host) error {
	t := tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tADDRESS\tPORT\tUSER\tSUDO\tTHROUGH\tGROUPS")
	for _, h := range hosts {
		sudo := "-"
		if h.Become.On {
			sudo = h.Become.User
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", h.Name, h.Address, h.Port, h.User, sudo,
			orDash(strings.Join(throughOf(h), ", ")), orDash(strings.Join(h.Groups, ", ")))
	}
	return t.Flush()
}

func throughOf(h inventory.Host) []string {
	var names []string
	for _, j := range h.ProxyJump {
		names = append(names, j.Name)
	}
	return names
}

func serverList(hosts []inventory.Host) []report.Server {
	var list []report.Server
	for _, h := range hosts {
		s := report.Server{Name: h.Name, Address: h.Address, Port: h.Port, User: h.User, Through: throughOf(h), Groups: h.Groups, From: h.Origin.String()}
		if h.Become.On {
			s.Sudo = h.Become.User
		}
		list = append(list, s)
	}
	return list
}
