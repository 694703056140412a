package main

import (
	"cmp"
	"errors"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/learn"
	"github.com/adamant-sh/adamant/internal/manifest"
)

func newCopyUpImageCommand(a *app) *cobra.Command {
	var push, out string
	cmd := &cobra.Command{
		Use:   "copy-up-image --push REF | --out FILE",
		Short: "Build the image with which sealed pods fill volumes where theirs cannot",
		Long: `Copy-up-image builds an image of a small static program, for amd64 and arm64, that
copies an image's content into volumes. A sealed manifest needs it only if an image
has no sh and cp of its own. The same release of Adamant builds the same image.

It prints the image's reference with its digest, for seal --copy-up-image.`,
		Example: `  adamant copy-up-image --push registry.example/copy-up:v1
  adamant seal web.yaml --profile web.profile --copy-up-image registry.example/copy-up@sha256:DIGEST
  adamant copy-up-image --out copy-up.tar`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (push == "") == (out == "") {
				return usagef("say where the image goes: --push REF or --out FILE")
			}
			img, err := learn.WriteCopyUpImage(cmd.Context(), cmp.Or(push, manifest.CopyUpImage), out)
			if errors.Is(err, learn.ErrNoCopyUpProgram) {
				return hint{err, "a release has them, and so has one that is built with make"}
			}
			if err != nil {
				return err
			}
			return a.print(img)
		},
	}
	cmd.Flags().StringVar(&push, "push", "", "push the image to a registry under this name")
	cmd.Flags().StringVar(&out, "out", "", "write the image to a file, an archive of an OCI layout")
	return cmd
}

func newCopyUpCommand(a *app) *cobra.Command {
	var o learn.CopyUpOptions
	var install string
	cmd := &cobra.Command{
		Use:   "copy-up --from DIR --to DIR PATH[:OPTION,...]... | --install FILE",
		Short: "Copy an image's content into volumes; what sealed manifests run before a container",
		Long: `Copy-up copies each PATH of the image at --from into the volume mounted at
--to/PATH, with owner, mode, attributes and links. A volume that is complete is
not touched again; one whose copy was killed is completed.

Options of a path: subpath=NAME, mode=OCTAL, uid=N, gid=N, file.

With --install it only copies this program to FILE, in a volume from which a
container of another image runs it.`,
		Example: `  adamant copy-up --from /image --to /volumes /run /var/lib/redis:subpath=data
  adamant copy-up --install /adamant-bin/adamant`,
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if (install == "") == (len(args) == 0) {
				return usagef("name paths to copy up, or --install FILE")
			}
			if install != "" {
				return learn.InstallCopyUp(cmd.Context(), install)
			}
			for _, arg := range args {
				t, err := learn.ParseCopyUpTarget(arg)
				if err != nil {
					return usageError{err}
				}
				o.Targets = append(o.Targets, t)
			}
			o.Warn = func(line string) { a.progress("%s", line) }
			return learn.CopyUp(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.From, "from", "/", "root of the image")
	cmd.Flags().StringVar(&o.To, "to", "/volumes", "directory with the volumes")
	cmd.Flags().StringVar(&install, "install", "", "copy this program to a file and do nothing else")
	cmd.Flags().BoolVar(&o.Strict, "strict", false, "fail where an owner, mode or attribute cannot be kept")
	return cmd
}
