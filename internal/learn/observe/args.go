package observe

import (
	"slices"
	"strings"
)

// An invocation holds the parsed arguments of runc.
type invocation struct {
	root    string // --root
	log     string // --log
	command string
	bundle  string // --bundle
	pidFile string // --pid-file
	process string // --process, of exec
	id      string // of the container
}

// Flags of runc that take a value, before the command and after it
// (runc(8), runc-create(8), runc-exec(8), runc-run(8)).
var (
	globalValues  = []string{"root", "log", "log-format", "criu", "rootless"}
	commandValues = map[string][]string{
		"create": {"bundle", "b", "console-socket", "pidfd-socket", "pid-file", "preserve-fds"},
		"run":    {"bundle", "b", "console-socket", "pidfd-socket", "pid-file", "preserve-fds"},
		"exec": {"console-socket", "pidfd-socket", "cwd", "env", "e", "user", "u", "additional-gids", "g", "process", "p",
			"pid-file", "process-label", "apparmor", "cap", "c", "preserve-fds", "cgroup"},
	}
)

// parseInvocation parses runc's arguments without its own name. It does not
// parse those of commands that are not traced.
func parseInvocation(args []string) invocation {
	flags, rest := parseFlags(args, globalValues)
	in := invocation{root: flags["root"], log: flags["log"]}
	if in.root == "" {
		in.root = "/run/runc"
	}
	if len(rest) == 0 {
		return in
	}
	in.command = rest[0]
	values, ok := commandValues[in.command]
	if !ok {
		return in
	}
	flags, rest = parseFlags(rest[1:], values)
	in.pidFile = flags["pid-file"]
	if in.process = flags["process"]; in.process == "" {
		in.process = flags["p"]
	}
	in.bundle = flags["bundle"]
	if in.bundle == "" {
		in.bundle = flags["b"]
	}
	if in.bundle == "" {
		in.bundle = "."
	}
	if len(rest) > 0 {
		in.id = rest[0]
	}
	return in
}

// parseFlags parses flags up to the first other argument, as Go's flag package
// does.
func parseFlags(args, withValue []string) (map[string]string, []string) {
	flags := map[string]string{}
	for len(args) > 0 {
		arg := args[0]
		if arg == "--" {
			return flags, args[1:]
		}
		if len(arg) < 2 || arg[0] != '-' {
			break
		}
		args = args[1:]
		key, value, has := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
		if !has && slices.Contains(withValue, key) && len(args) > 0 {
			value, args = args[0], args[1:]
		}
		flags[key] = value
	}
	return flags, args
}
