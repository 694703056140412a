package main

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/learn"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
)

func newSealCommand(a *app) *cobra.Command {
	var load loadFlags
	var profiles []string
	var write, diff, anyDigest bool
	var form, image string
	var choices learn.Choices
	cmd := &cobra.Command{
		Use:   "seal FILE",
		Short: "Rewrite a manifest: read-only root, the smallest set of volumes",
		Long: `Seal edits a manifest so that no container can write its root: it sets
readOnlyRootFilesystem, adds a volume for each path the profile asks for, and an
init container that copies the image's content into those that need it. Nothing
else in the file is touched: comments, order and literals stay.

Without --profile the workload is learned first. A profile of an image that was
replaced since is refused. The result goes to stdout; a second time changes
nothing.

A volume is an emptyDir on disk without a limit, since no run shows how much a
program will ever write. If a policy asks for limits, --size-limit auto chooses
them: 16 times what each volume held, at least 256Mi. A kubelet evicts a pod with
more, and its data is lost. --medium PATH=Memory takes the space from the memory
of the container. --claim PATH=NAME keeps data that should outlive the pod on a
PersistentVolumeClaim, which NAME:SIZE adds to the file.`,
		Example: `  adamant seal web.yaml --profile web.profile > sealed.yaml
  adamant seal web.yaml --profile web.profile --diff
  adamant seal web.yaml --exercise-http :8080/ -w
  adamant seal db.yaml --profile db.profile --claim /var/lib/postgresql=db-data:10Gi
  adamant seal web.yaml --profile web.profile --size-limit auto --size-limit /tmp=1Gi
  adamant seal web.yaml --profile web.profile --medium app:/run=Memory`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeManifests,
		RunE: func(cmd *cobra.Command, args []string) error {
			if write && diff {
				return usagef("--write and --diff: choose one")
			}
			if write && args[0] == "-" {
				return usagef("--write needs a file, not standard input")
			}
			if form != string(manifest.ImageVolume) && form != string(manifest.InstalledTool) {
				return usagef("--copy-up %q: want image-volume or installed-tool", form)
			}
			if err := choices.Check(); err != nil {
				return usageError{err}
			}
			ctx := cmd.Context()
			f, err := manifest.Load(ctx, args[0])
			if err != nil {
				return err
			}
			all, err := learn.LoadProfiles(profiles)
			if err != nil {
				return err
			}
			switch {
			case len(profiles) == 0:
				all, err = a.learnToSeal(ctx, f, load)
			case !anyDigest:
				err = a.checkDigests(ctx, f, all)
			}
			if err != nil {
				return err
			}
			all, notes, err := choices.Apply(all)
			if err != nil {
				return err
			}
			a.note(notes...)
			a.note(learn.VolumeNotes(f, all)...)
			a.note(learn.DurableNotes(all)...)
			sealed, err := learn.Seal(f, all, manifest.SealOptions{Form: manifest.CopyUpForm(form), Image: image})
			if err != nil {
				return err
			}
			return a.printSealed(f, sealed, write, diff)
		},
	}
	load.add(cmd.Flags())
	cmd.Flags().StringArrayVar(&profiles, "profile", nil, "profile to seal by, from adamant learn; may be repeated")
	cmd.Flags().BoolVar(&anyDigest, "any-digest", false, "seal even if an image was replaced since its profile was learned")
	cmd.Flags().BoolVarP(&write, "write", "w", false, "write the result back to FILE")
	cmd.Flags().StringVar(&form, "copy-up", string(manifest.ImageVolume), "how the image's content gets into volumes: image-volume, or installed-tool for clusters without image volumes")
	cmd.Flags().StringVar(&image, "copy-up-image", manifest.CopyUpImage, "image with the copy-up tool, as the cluster knows it")
	cmd.Flags().StringArrayVar(&choices.SizeLimits, "size-limit", nil, "limit volumes: PATH=SIZE, PATH=auto, PATH=none, or auto for all; may be repeated")
	cmd.Flags().StringArrayVar(&choices.Mediums, "medium", nil, "medium of a volume: PATH=Memory or PATH=none; may be repeated")
	cmd.Flags().StringArrayVar(&choices.Claims, "claim", nil, "use a PersistentVolumeClaim for a volume: PATH=NAME, or PATH=NAME:SIZE to add it to the file; may be repeated")
	cmd.Flags().BoolVar(&diff, "diff", false, "print what changes instead of the result")
	return cmd
}

// learnToSeal learns a manifest's workloads; only what was proven may seal.
func (a *app) learnToSeal(ctx context.Context, f manifest.File, load loadFlags) ([]profile.Profile, error) {
	lessons, err := a.learn(ctx, f, load, nil, false)
	if err != nil {
		return nil, err
	}
	return learn.ProvenProfiles(f.Name, lessons, func(p learn.Proof) { a.progress("%s", p.Summary()) })
}

func (a *app) printSealed(f manifest.File, sealed []byte, write, diff bool) error {
	switch {
	case write:
		return durable.Rewrite(f.Name, sealed)
	case diff:
		return learn.WriteSealDiff(a.out, f, sealed)
	}
	return a.print(learn.SealedManifest{
		Header: document.NewHeader(document.SealedManifest), File: f.Name, Manifest: string(sealed),
	})
}

// checkDigests refuses profiles of images that were replaced since they were
// learned. It prints a note for each image that cannot be checked.
func (a *app) checkDigests(ctx context.Context, f manifest.File, all []profile.Profile) error {
	if a.endpoint == "" && !pod.HasStore(cmp.Or(a.root, pod.DefaultRoot)) {
		a.progress("note: there are no images here to look at, so it was not checked that the profiles are of the same ones")
		return nil
	}
	return a.withEngine(ctx, func(e *pod.Engine) error {
		return learn.CheckDigests(ctx, e, f, all, func(image, workload string) {
			a.progress("note: image %s is not loaded here, so it was not checked that the profile of %s is of the same one", image, workload)
		})
	})
}
