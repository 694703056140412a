package main

import (
	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/cmd/internal/agentcmd"
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
	cmd.AddCommand(
		newServersListCommand(a), newServersCompareCommand(a), newServersSnapshotCommand(a), newServersWatchCommand(a), newServersUpdateCommand(a),
		newServersHistoryCommand(a), newServersPlanCommand(a), newServersCaptureCommand(a), newServersReplaceCommand(a),
	)
	for _, c := range agentcmd.Commands(a.in, a.out) {
		c.Hidden = true
		cmd.AddCommand(c)
	}
	return cmd
}
