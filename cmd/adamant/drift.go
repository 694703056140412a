package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/drift/inspect"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/report"
)

func newDriftCommand(a *app) *cobra.Command {
	var in scope
	var container, root, ref string
	var all, noDiff, verifyLayers, volumes bool
	cmd := &cobra.Command{
		Use:   "drift [INSTANCE...]",
		Short: "Show what changed since the image, content first",
		Long: `Drift lists what differs between a container's root file system and its image:
what was added, changed or deleted, with a class, a severity and a text diff.
What looks like a secret is not printed. A file that was copied up but is equal
is no drift; one that was edited to the same size and time is. Of a running
container it also lists mounts that are not in its specification, and programs
that run without a file.

INSTANCE is a pod, or the id, name or process of any container on this machine,
whichever runtime runs it. Without one all pods are looked at. --root compares
a directory with an image, file by file.

--verify-layers also compares the unpacked layers with the image's own digests,
which reads all of the image: a layer that was edited on this machine is the
baseline of every other comparison. Its changes are critical.

Who is not root but may read (adamant serve --read-group) gets what the daemon
finds, without text diffs.

It exits 0 if nothing differs, 3 if something does, and 4 if something could not
be compared.`,
		Example: `  adamant drift
  adamant drift nginx-pod
  adamant drift nginx-pod --verify-layers
  adamant drift 3fa2c1            # a container of Docker, podman or containerd
  adamant drift my_web            # the name of a container of Docker or podman
  adamant drift --root /mnt/rootfs --image nginx.tar`,
		ValidArgsFunction: a.completePods,
		RunE: func(cmd *cobra.Command, args []string) error {
			if (root == "") != (ref == "") || root != "" && len(args) > 0 {
				return usagef("--root and --image go together, and without an INSTANCE")
			}
			if verifyLayers && root != "" {
				return usagef("--root has no layers to verify; it is compared with the image already")
			}
			opts := pod.DriftOptions{Namespace: in.namespace(), Container: container, VerifyLayers: verifyLayers, Volumes: volumes}
			ctx := cmd.Context()
			if os.Geteuid() != 0 && a.endpoint == "" && root == "" && !verifyLayers && !volumes {
				return a.driftByDaemon(ctx, args, in.namespace(), container)
			}
			var results []inspect.Result
			var err error
			if root != "" {
				results, err = pod.DriftOfDirectory(ctx, root, ref, a.open)
			} else {
				err = a.withEngine(ctx, func(e *pod.Engine) (err error) {
					if len(args) == 0 {
						results, err = e.Drift(ctx, opts)
						return err
					}
					results, err = e.DriftOf(ctx, args, opts)
					return err
				})
			}
			if err != nil {
				return err
			}
			if len(results) == 0 {
				a.progress("note: there is no pod whose containers could be looked at")
			}
			return a.printVerdict(report.NewDriftReportList(results, report.DriftOptions{All: all, NoDiff: noDiff}))
		},
	}
	a.addScope(&in, cmd)
	flags := cmd.Flags()
	flags.StringVarP(&container, "container", "c", "", "container of the pod (default: all)")
	flags.StringVar(&root, "root", "", "directory to compare with --image")
	flags.StringVar(&ref, "image", "", "image, layout or archive to compare --root with")
	flags.BoolVar(&volumes, "volumes", false, "also list programs in writable volumes, which are no drift")
	flags.BoolVar(&verifyLayers, "verify-layers", false, "compare the unpacked layers with the image's digests too")
	flags.BoolVar(&all, "all", false, "list everything below a directory that was added or deleted")
	flags.BoolVar(&noDiff, "no-diff", false, "leave the text diffs out")
	return cmd
}

// driftByDaemon has the daemon compare, which a user who may only read cannot.
func (a *app) driftByDaemon(ctx context.Context, instances []string, namespace, container string) error {
	c := a.client()
	defer c.Close()
	list, err := c.Drift(ctx, instances, namespace, container)
	if err != nil {
		return err
	}
	return a.printVerdict(list)
}
