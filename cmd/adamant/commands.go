package main

import "github.com/spf13/cobra"

// A commandGroup is a section of the help.
type commandGroup struct {
	id, title string
	commands  []*cobra.Command
}

// commandGroups returns all commands, in the order a new user needs them.
func commandGroups(a *app) []commandGroup {
	return []commandGroup{
		{"immutability", "Immutability:", []*cobra.Command{
			newCheckCommand(a), newExplainCommand(a), newPolicyCommand(a), newLearnCommand(a), newSealCommand(a), newProveCommand(a), newDriftCommand(a),
		}},
		{"workloads", "Workloads:", []*cobra.Command{
			newRunCommand(a), newServeCommand(a), newApplyCommand(a), newDiffCommand(a), newGetCommand(a), newStatusCommand(a),
			newEventsCommand(a), newRolloutCommand(a), newScaleCommand(a), newDeleteCommand(a), newClaimsCommand(a),
			newPsCommand(a), newLogsCommand(a), newExecCommand(a), newCpCommand(a), newRmCommand(a),
		}},
		{"images", "Images:", []*cobra.Command{newLoadCommand(a), newImagesCommand(a), newCopyUpImageCommand(a)}},
		{"servers", "Servers:", []*cobra.Command{newServersCommand(a)}},
		{machineGroup, "This machine:", []*cobra.Command{newDoctorCommand(a), newVersionCommand(a), newResetCommand(a), newCopyUpCommand(a), newManCommand(), newBalancerCommand()}},
	}
}

// machineGroup is also the group of the commands that cobra adds.
const machineGroup = "machine"

// addCommands adds all commands to root, in groups. Cobra sorts the commands of
// a group by name unless it is told not to.
func addCommands(root *cobra.Command, a *app) {
	for _, g := range commandGroups(a) {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, c := range g.commands {
			c.GroupID = g.id
		}
		root.AddCommand(g.commands...)
	}
	root.SetHelpCommandGroupID(machineGroup)
	root.SetCompletionCommandGroupID(machineGroup)
}
