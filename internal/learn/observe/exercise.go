package observe

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// exercisePrefix begins the first argument of a command that is load and no part of
// the workload. The directory of the container's traces follows, whose random name
// no manifest can contain.
const exercisePrefix = "adamant-exercise="

// scratch is where a command of the load keeps its temporary files. It is in every
// pod, can be written when the root cannot, and is no part of the root.
const scratch = "TMPDIR=/dev/shm"

// ExerciseCommand returns the command to execute in a container with traces in dir,
// so that its writes are recorded apart from those of the workload, with the root
// "exercise".
func ExerciseCommand(dir string, command []string) []string {
	return append([]string{exercisePrefix + dir}, command...)
}

// unwrapExercise reports whether runc exec is to run a command of ExerciseCommand.
// If so it restores the command in the file for runc, which belongs to the caller of
// runc and is removed by it.
func unwrapExercise(process, dir string) (bool, error) {
	if process == "" {
		return false, nil
	}
	var spec map[string]json.RawMessage
	var args, env []string
	if err := readJSON(process, &spec); err != nil {
		return false, err
	}
	if err := json.Unmarshal(spec["args"], &args); err != nil {
		return false, fmt.Errorf("read %s: args: %w", process, err)
	}
	if len(args) < 2 || args[0] != exercisePrefix+dir {
		return false, nil
	}
	if len(spec["env"]) > 0 {
		if err := json.Unmarshal(spec["env"], &env); err != nil {
			return false, fmt.Errorf("read %s: env: %w", process, err)
		}
	}
	if !slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "TMPDIR=") }) {
		env = append(env, scratch)
	}
	var err error
	if spec["args"], err = json.Marshal(args[1:]); err != nil {
		return false, err
	}
	if spec["env"], err = json.Marshal(env); err != nil {
		return false, err
	}
	data, err := json.Marshal(spec)
	if err != nil {
		return false, err
	}
	return true, os.WriteFile(process, data, 0o600)
}
