package main

import "github.com/spf13/cobra"

// commands are all commands, in the order a new user needs them.
func commands(a *app) []*cobra.Command {
	return []*cobra.Command{
		newDoctorCommand(a),
		newLoadCommand(a),
		newImagesCommand(a),
		newLearnCommand(a),
		newSealCommand(a),
		newProveCommand(a),
		newRunCommand(a),
		newServeCommand(a),
		newApplyCommand(a),
		newDiffCommand(a),
		newGetCommand(a),
		newStatusCommand(a),
		newRolloutCommand(a),
		newScaleCommand(a),
		newDeleteCommand(a),
		newPsCommand(a),
		newLogsCommand(a),
		newExecCommand(a),
		newCpCommand(a),
		newDriftCommand(a),
		newServersCommand(a),
		newRmCommand(a),
		newResetCommand(a),
		newCopyUpCommand(a),
	}
}
