package main

import (
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/report"
)

func newCpCommand(a *app) *cobra.Command {
	var container string
	cmd := &cobra.Command{
		Use:   "cp SRC DST",
		Short: "Copy files between this machine and a container",
		Long: `Cp copies a file or directory into or out of a running container; one of SRC and
DST is POD:PATH. What comes out of a container is never trusted: no link in it
leads anywhere, and it belongs to whoever called. A read-only root refuses a
copy as it refuses the container.`,
		Example: `  adamant cp index.html nginx-pod:/var/www/html/
  adamant cp nginx-pod:/etc/nginx ./nginx
  adamant cp -c proxy web:/var/log/proxy.log .`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			src, dst := parseEnd(args[0]), parseEnd(args[1])
			if (src.pod == "") == (dst.pod == "") {
				return usagef("one of SRC and DST must be POD:PATH")
			}
			return a.withPod(cmd.Context(), src.pod+dst.pod, func(p *pod.Pod) error {
				copyPath := p.CopyIn
				if src.pod != "" {
					copyPath = p.CopyOut
				}
				unknown, err := copyPath(cmd.Context(), container, src.path, dst.path)
				if err != nil {
					return err
				}
				for _, u := range unknown {
					a.progress("adamant: copy %s: %v", u.Path, u.Err)
				}
				if len(unknown) > 0 {
					return exitWith(report.Incomplete)
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVarP(&container, "container", "c", "", "container of the pod (default: its first)")
	return cmd
}

// An end is one side of a copy.
type end struct {
	pod  string // empty on this machine
	path string // absolute, but with the slash at its end
}

// parseEnd reads "POD:PATH" or a path, which may begin with ./ to hold a colon.
func parseEnd(arg string) end {
	pod, p, ok := strings.Cut(arg, ":")
	if ok && pod != "" && !strings.HasPrefix(arg, ".") && !strings.HasPrefix(arg, "/") {
		return end{pod, keepSlash(p, path.Join("/", p))}
	}
	abs, err := filepath.Abs(arg)
	if err != nil {
		abs = arg
	}
	return end{"", keepSlash(arg, abs)}
}

// keepSlash keeps the slash that marks a path as a directory.
func keepSlash(arg, clean string) string {
	if strings.HasSuffix(arg, "/") || arg == "." || strings.HasSuffix(arg, "/.") {
		return strings.TrimSuffix(clean, "/") + "/"
	}
	return clean
}
