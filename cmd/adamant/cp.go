package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
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
			ctx := cmd.Context()
			e, err := a.open(ctx)
			if err != nil {
				return err
			}
			defer e.Close()
			pod, err := e.Find(ctx, src.pod+dst.pod)
			if err != nil {
				return err
			}
			inside, err := pod.OpenRoot(ctx, container)
			if err != nil {
				return err
			}
			defer inside.Close()
			outside, err := rootfs.Open("/")
			if err != nil {
				return err
			}
			defer outside.Close()
			if src.pod != "" {
				own := rootfs.Owner{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
				return a.copyPath(ctx, inside, outside, src.path, dst.path, rootfs.ExtractOptions{Owner: &own})
			}
			return a.copyPath(ctx, outside, inside, src.path, dst.path, rootfs.ExtractOptions{Owner: &rootfs.Owner{}})
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

// copyPath copies a path from one root to another: into dst if that is a
// directory, else as dst.
func (a *app) copyPath(ctx context.Context, from, to *rootfs.Root, src, dst string, o rootfs.ExtractOptions) error {
	src = path.Clean(src)
	dir, name := path.Split(path.Clean(dst))
	if isDirectory(to, dst) || strings.HasSuffix(dst, "/") {
		dir, name = dst, path.Base(src)
	}
	r, w := io.Pipe()
	group, ctx := errgroup.WithContext(ctx)
	var unknown []tree.Unknown
	group.Go(func() (err error) {
		unknown, err = from.Archive(ctx, w, src, name)
		w.CloseWithError(err)
		return err
	})
	group.Go(func() error {
		err := to.Extract(ctx, r, path.Clean(dir), o)
		r.CloseWithError(err)
		return err
	})
	if err := group.Wait(); err != nil {
		return fmt.Errorf("copy %s: %w", src, err)
	}
	for _, u := range unknown {
		a.progress("adamant: copy %s: %v", u.Path, u.Err)
	}
	if len(unknown) > 0 {
		return exitWith(report.Incomplete)
	}
	return nil
}

func isDirectory(root *rootfs.Root, name string) bool {
	canonical, exists, err := root.Resolve(path.Clean(name))
	if err != nil || !exists {
		return false
	}
	e, err := root.Lstat(canonical)
	return err == nil && e.Kind == tree.Directory
}
