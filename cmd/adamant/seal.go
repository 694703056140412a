package main

import (
	"cmp"
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/learn"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/source"
	"github.com/adamant-sh/adamant/internal/pod"
)

func newSealCommand(a *app) *cobra.Command {
	var load loadFlags
	var files manifestFlag
	var profiles []string
	var write, diff, anyDigest, acceptWeak bool
	var form, image string
	var choices learn.Choices
	cmd := &cobra.Command{
		Use:   "seal FILE...",
		Short: "Rewrite a manifest: read-only root, the smallest set of volumes",
		Long: `Seal edits manifests so that no container can write its root: it sets
readOnlyRootFilesystem, adds a volume for each path the profile asks for, and an
init container that copies the image's content into those that need it. Nothing
else in the files is touched: comments, order and literals stay. The pod meets the
same level of Pod Security as before; stderr says so where that is impossible.

The init container runs sh and cp of the container's own image, so that no other
image is needed. For an image without them, name one with Adamant's tool in a
registry of yours (see adamant copy-up-image).

Without --profile the workload is learned first. Refused is a profile that failed
its proof or has writes that no volume can allow, unless --accept-weak is given,
and one of another workload, container, command or image. A profile of an image
fits any workload of that image. The result goes to stdout; a second time changes
nothing. Pods in objects of other kinds (a Rollout, a custom resource) are sealed
too if there is a profile for them; otherwise they are named, with exit code 4.

A volume is an emptyDir on disk without a limit, since no run shows how much a
program will ever write. If a policy asks for limits, --size-limit auto chooses
them: 16 times what each volume held, at least 256Mi. A kubelet evicts a pod with
more, and its data is lost. --medium PATH=Memory takes the space from the memory
of the container. --claim PATH=NAME keeps data that should outlive the pod on a
PersistentVolumeClaim, which NAME:SIZE adds to the file.`,
		Example: `  adamant seal web.yaml --profile web.profile > sealed.yaml
  adamant seal web.yaml --profile web.profile --diff
  adamant seal -f deploy/ --profile web.profile --profile db.profile -w
  adamant seal web.yaml --exercise-http :8080/ -w
  adamant seal web.yaml --profile web.profile --copy-up-image registry.example/copy-up@sha256:DIGEST
  adamant seal shop.yaml --exercise-http deploy/web=:8080/ -w
  adamant seal db.yaml --profile db.profile --claim /var/lib/postgresql=db-data:10Gi
  adamant seal web.yaml --profile web.profile --size-limit auto --size-limit /tmp=1Gi
  adamant seal web.yaml --profile web.profile --medium app:/run=Memory`,
		RunE: func(cmd *cobra.Command, args []string) error {
			paths, err := files.paths(args)
			switch {
			case err != nil:
				return err
			case write && diff:
				return usagef("--write and --diff: choose one")
			case write && slices.Contains(paths, "-"):
				return usagef("--write needs a file, not standard input")
			case form != "" && !slices.Contains(manifest.CopyUpForms(), manifest.CopyUpForm(form)):
				return usagef("--copy-up %q: want own-image, image-volume or installed-tool", form)
			}
			if err := choices.Check(); err != nil {
				return usageError{err}
			}
			ctx := cmd.Context()
			loaded, err := source.LoadAll(ctx, paths, a.in)
			if err != nil {
				return err
			}
			all, err := learn.LoadProfiles(profiles)
			if err != nil {
				return err
			}
			if len(profiles) == 0 {
				all, err = a.learnToSeal(ctx, loaded, load, acceptWeak)
			} else {
				err = a.checkProfiles(ctx, loaded, all, acceptWeak, anyDigest)
			}
			if err != nil {
				return err
			}
			all, notes, err := choices.ApplyTo(loaded, all)
			if err != nil {
				return err
			}
			a.note(notes...)
			a.warn(learn.ExposureWarnings(all)...)
			opts := manifest.SealOptions{Form: manifest.CopyUpForm(form), Image: image, Note: func(e manifest.FieldError) { a.note(e.Error()) }}
			if form == "" && image != "" {
				opts.Form = manifest.InstalledTool
			}
			sealed, err := learn.SealAll(loaded, all, opts)
			if err != nil {
				return err
			}
			if err := a.printSealed(loaded, sealed, write, diff); err != nil {
				return err
			}
			for _, e := range sealed.Left {
				a.progress("%s", e.Error())
			}
			return exitWith(sealed.Verdict())
		},
	}
	files.add(cmd, "seal")
	load.add(cmd.Flags())
	cmd.Flags().StringArrayVar(&profiles, "profile", nil, "profile to seal by, from adamant learn; may be repeated")
	cmd.Flags().BoolVar(&acceptWeak, "accept-weak", false, "seal even by a profile that failed its proof or has writes that no volume can allow")
	cmd.Flags().BoolVar(&anyDigest, "any-digest", false, "seal even if an image was replaced since its profile was learned")
	cmd.Flags().BoolVarP(&write, "write", "w", false, "write the result back to each file")
	cmd.Flags().StringVar(&form, "copy-up", "", "how the image's content gets into volumes: own-image, installed-tool, or image-volume, which needs Kubernetes 1.33 (default own-image, or installed-tool with --copy-up-image)")
	cmd.Flags().StringVar(&image, "copy-up-image", "", "image with Adamant's copy-up tool, which adamant copy-up-image builds")
	cmd.Flags().StringArrayVar(&choices.SizeLimits, "size-limit", nil, "limit volumes: PATH=SIZE, PATH=auto, PATH=none, or auto for all; may be repeated")
	cmd.Flags().StringArrayVar(&choices.Mediums, "medium", nil, "medium of a volume: PATH=Memory or PATH=none; may be repeated")
	cmd.Flags().StringArrayVar(&choices.Claims, "claim", nil, "use a PersistentVolumeClaim for a volume: PATH=NAME, or PATH=NAME:SIZE to add it to the file; may be repeated")
	cmd.Flags().BoolVar(&diff, "diff", false, "print what changes instead of the result")
	return cmd
}

// learnToSeal learns the workloads of manifests; only what was proven may seal.
func (a *app) learnToSeal(ctx context.Context, files []manifest.File, load loadFlags, acceptWeak bool) ([]profile.Profile, error) {
	f, err := manifest.Join(files...)
	if err != nil {
		return nil, err
	}
	workloads, err := learn.Workloads(f)
	if err == nil {
		err = a.checkLoad(load, workloads)
	}
	if err != nil {
		return nil, err
	}
	lessons, err := a.learn(ctx, workloads, load, nil, false)
	if err != nil {
		return nil, err
	}
	return learn.ProvenProfiles(f.Name, lessons, acceptWeak, func(p learn.Proof) { a.progress("%s", p.Summary()) })
}

func (a *app) printSealed(files []manifest.File, sealed learn.SealedFiles, write, diff bool) error {
	for i, f := range files {
		var err error
		switch {
		case write:
			err = durable.Rewrite(f.Name, []byte(sealed.Items[i].Manifest))
		case diff:
			err = learn.WriteSealDiff(a.out, f, []byte(sealed.Items[i].Manifest))
		}
		if err != nil {
			return err
		}
	}
	switch {
	case write || diff:
		return nil
	case len(files) == 1:
		return a.print(sealed.Items[0])
	}
	return a.print(sealed)
}

// checkProfiles refuses profiles of other workloads and ones that were not proven,
// unless acceptWeak, and of images that were replaced since they were learned, unless
// anyDigest.
func (a *app) checkProfiles(ctx context.Context, files []manifest.File, all []profile.Profile, acceptWeak, anyDigest bool) error {
	f, err := manifest.Join(files...)
	if err != nil {
		return err
	}
	err = learn.CheckProfiles(f, all, acceptWeak, func(text string) { a.note(text) })
	if err != nil || anyDigest {
		return err
	}
	return a.checkDigests(ctx, f, all)
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
