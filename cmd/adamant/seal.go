package main

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/image"
	"github.com/adamant-sh/adamant/internal/learn"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/manifest/source"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/seal"
)

// sealFlags are the flags of seal.
type sealFlags struct {
	files    manifestFlag
	load     loadFlags
	profiles []string
	folder   string // with profiles
	choices  learn.Choices
	config   string

	learn, write, diff, patch              bool
	anyDigest, acceptWeak, acceptUnlearned bool
	form, image                            string

	pin       bool
	platforms []string

	charts source.ChartOptions
}

func newSealCommand(a *app) *cobra.Command {
	var f sealFlags
	cmd := &cobra.Command{
		Use:   "seal PATH...",
		Short: "Rewrite manifests: read-only root, the smallest set of volumes",
		Long: `Seal edits manifests so that no container can write its root: it sets
readOnlyRootFilesystem, adds a volume for each path that a profile asks for, and an
init container that copies the image's content into those that need it. Nothing
else in the files is touched: comments, order, quotes and line endings stay. The result
is read again and compared field by field. A second time changes nothing.

A path is a file, a folder, of which all .yaml, .yml and .json files are sealed, also
those in the folders below, or - for standard input. Pods are found by their shape in
objects of any kind. Pods of Windows, patches of overlays, and containers with an
exception for root-not-read-only (see adamant check) stay as they are.

The result goes to stdout, --diff prints what changes, and --write changes the files, each
one at once. Seal needs no root and starts nothing. For a container without a profile it
is not known what it writes, and it may fail with a read-only root: stderr has the
command that learns it, and the exit code is 4 unless --accept-unlearned is given. With
--learn the workloads are learned at once, which needs root.

Refused is a profile that failed its proof or has writes that no volume can allow,
unless --accept-weak is given, and one of another workload, container, command or
image. A profile of an image fits any workload of that image. The pod meets the same
level of Pod Security as before; stderr says so where that is impossible.

With --profiles, the profiles that fit are taken from a folder, which adamant learn --save
DIR/ fills: by the digest of a pinned image, and otherwise by its reference. One that is
named with --profile goes first, and unused ones are no error.

The init container runs sh and cp of the container's own image, so that no other
image is needed. For an image without them, name one with Adamant's tool in a
registry of yours (see adamant copy-up-image).

A volume is an emptyDir on disk without a limit, since no run shows how much a
program will ever write. If a policy asks for limits, --size-limit auto chooses
them: 16 times what each volume held, at least 256Mi. A kubelet evicts a pod with
more, and its data is lost. --medium PATH=Memory takes the space from the memory
of the container. --claim PATH=NAME keeps data that should outlive the pod on a
PersistentVolumeClaim, which NAME:SIZE adds to the file; with it a folder is sealed
without those below, and all workloads need a profile.

With --patch the paths are folders with a kustomization. What it renders to is sealed by a
strategic-merge patch, adamant-seal.yaml, which it then applies; the resources stay as they
are for whoever else uses them. With the patch the kustomization renders to exactly what
sealing makes of its objects, or the object is named and left. With --pin its images get the
digests.

A folder with a Chart.yaml is rendered with the helm in PATH, offline. Seal tries the values
of the chart, and writes those that seal something to adamant-values.yaml in its folder. A
value is used only if the chart renders to the same with it, apart from what sealing changes.
Objects that no values seal are named and left; helm template and adamant seal - seal them.

With --pin each image also gets its digest: NAME:TAG becomes NAME:TAG@sha256:DIGEST, with
the digest of the index, which has the images of all platforms. Entries with a tag under
images in a kustomization.yaml get it, too. An image that its registry does not have for
each platform in use stays as it is, and so does one that cannot be looked up: stderr has
the reason, and the exit code is 4. Registries are asked with the credentials of docker
login or podman login.`,
		Example: `  adamant seal deploy/ --diff
  adamant seal deploy/ -w
  adamant seal web.yaml --profile web.profile > sealed.yaml
  adamant seal web.yaml --profile web.profile --diff
  adamant seal deploy/ --profiles profiles/ -w
  adamant seal overlays/prod --patch --profiles profiles/ -w
  adamant seal chart/ --patch --values prod.yaml -n shop --profiles profiles/ -w
  helm template chart/ | adamant seal - --accept-unlearned
  adamant seal web.yaml --learn --exercise-http :8080/ -w
  adamant seal shop.yaml --learn --exercise-http deploy/web=:8080/ -w
  adamant seal web.yaml --profile web.profile --copy-up-image registry.example/copy-up@sha256:DIGEST
  adamant seal db.yaml --profile db.profile --claim /var/lib/postgresql=db-data:10Gi
  adamant seal web.yaml --profile web.profile --size-limit auto --size-limit /tmp=1Gi
  adamant seal web.yaml --profile web.profile --medium app:/run=Memory
  adamant seal deploy/ --pin -w
  adamant seal deploy/ --pin --platform linux/amd64 --platform linux/arm64 --diff`,
		RunE: func(cmd *cobra.Command, args []string) error {
			paths, err := f.files.paths(args)
			if err == nil {
				err = f.check(cmd, paths)
			}
			if err != nil {
				return err
			}
			if f.learn || len(f.choices.Claims) > 0 {
				return a.sealWorkloads(cmd.Context(), paths, f)
			}
			return a.sealRepository(cmd.Context(), paths, f)
		},
	}
	f.add(cmd)
	return cmd
}

func (f *sealFlags) add(cmd *cobra.Command) {
	f.files.add(cmd, "seal")
	f.load.add(cmd.Flags())
	flags := cmd.Flags()
	flags.StringArrayVar(&f.profiles, "profile", nil, "profile to seal by, from adamant learn; may be repeated")
	flags.StringVar(&f.folder, "profiles", "", "folder of adamant learn --save DIR/: seal by those of its profiles that fit")
	flags.BoolVar(&f.learn, "learn", false, "run the workloads to learn what they write, and seal by that; needs root")
	flags.BoolVar(&f.acceptUnlearned, "accept-unlearned", false, "exit with 0 although it is not known what a container writes")
	flags.BoolVar(&f.acceptWeak, "accept-weak", false, "seal even by a profile that failed its proof or has writes that no volume can allow")
	flags.BoolVar(&f.anyDigest, "any-digest", false, "seal even if an image was replaced since its profile was learned")
	flags.BoolVarP(&f.write, "write", "w", false, "write the result back to each file")
	flags.StringVar(&f.config, "config", "", "use the exceptions of this configuration instead of the files "+source.ConfigName+" of folders and their parents")
	flags.StringVar(&f.form, "copy-up", "", "how the image's content gets into volumes: own-image, installed-tool, or image-volume, which needs Kubernetes 1.33 (default own-image, or installed-tool with --copy-up-image)")
	flags.StringVar(&f.image, "copy-up-image", "", "image with Adamant's copy-up tool, which adamant copy-up-image builds")
	flags.StringArrayVar(&f.choices.SizeLimits, "size-limit", nil, "limit volumes: PATH=SIZE, PATH=auto, PATH=none, or auto for all; may be repeated")
	flags.StringArrayVar(&f.choices.Mediums, "medium", nil, "medium of a volume: PATH=Memory or PATH=none; may be repeated")
	flags.StringArrayVar(&f.choices.Claims, "claim", nil, "use a PersistentVolumeClaim for a volume: PATH=NAME, or PATH=NAME:SIZE to add it to the file; may be repeated")
	flags.BoolVar(&f.pin, "pin", false, "pin each image by the digest that its registry has for it")
	flags.StringArrayVar(&f.platforms, "platform", nil, "platform that a pinned image must have, beside those that its pod demands: OS/ARCH or OS/ARCH/VARIANT; may be repeated (default linux/amd64)")
	flags.BoolVar(&f.patch, "patch", false, "seal what the kustomizations and charts in folders render to, by a patch or a file of values in each")
	addChartFlags(cmd, &f.charts)
	flags.StringVarP(&f.charts.Namespace, "namespace", "n", "", "namespace of the release of charts")
	flags.BoolVar(&f.diff, "diff", false, "print what changes instead of the result")
}

// check refuses an invalid command line.
func (f *sealFlags) check(cmd *cobra.Command, paths []string) error {
	switch {
	case f.write && f.diff:
		return usagef("--write and --diff: choose one")
	case f.write && slices.Contains(paths, "-"):
		return usagef("--write needs a file, not standard input")
	case f.patch && slices.Contains(paths, "-"):
		return usagef("--patch needs a folder with a kustomization or chart, not standard input")
	case f.patch && (f.learn || len(f.choices.Claims) > 0):
		return usagef("--patch with --learn or --claim: learn first, and seal by the profile")
	case f.form != "" && !slices.Contains(manifest.CopyUpForms(), manifest.CopyUpForm(f.form)):
		return usagef("--copy-up %q: want own-image, image-volume or installed-tool", f.form)
	case f.learn && (len(f.profiles) > 0 || f.folder != ""):
		return usagef("--learn and --profile or --profiles: choose one")
	case cmd.Flags().Changed("profiles") && f.folder == "":
		return usagef("--profiles: the name of the folder is empty")
	case f.folder != "" && len(f.choices.Claims) > 0:
		return usagef("--profiles and --claim: name the profile of the claim's workload with --profile")
	case len(f.choices.Claims) > 0 && len(f.profiles) == 0 && !f.learn:
		return usagef("--claim is for a volume of a profile: name it with --profile, or learn it with --learn")
	case f.pin && (f.learn || len(f.choices.Claims) > 0):
		return usagef("--pin with --learn or --claim: seal first, then pin the result with adamant seal PATH --pin")
	case len(f.platforms) > 0 && !f.pin:
		return usagef("--platform is for --pin, which asks registries for it")
	}
	for _, name := range []string{"exercise", "exercise-http", "replay", "for", "quiet", "ready-timeout"} {
		if cmd.Flags().Changed(name) && !f.learn {
			return usagef("--%s is for --learn, which runs the workloads; seal alone starts nothing", name)
		}
	}
	for _, name := range []string{"values", "set", "release", "namespace", "kube-version"} {
		if cmd.Flags().Changed(name) && !f.patch {
			return usagef("--%s is for a chart, which is sealed with --patch", name)
		}
	}
	if err := f.choices.Check(); err != nil {
		return usageError{err}
	}
	return nil
}

func (f *sealFlags) copyUp() manifest.SealOptions {
	opts := manifest.SealOptions{Form: manifest.CopyUpForm(f.form), Image: f.image}
	if f.form == "" && f.image != "" {
		opts.Form = manifest.InstalledTool
	}
	return opts
}

// pinning returns how images are pinned, or nil if they are not.
func (f *sealFlags) pinning() (*seal.Pinning, error) {
	if !f.pin {
		return nil, nil
	}
	p := &seal.Pinning{Resolve: image.Resolve}
	for _, s := range f.platforms {
		platform, err := image.ParsePlatform(s)
		if err != nil {
			return nil, usagef("--platform: %w", err)
		}
		p.Platforms = append(p.Platforms, platform)
	}
	return p, nil
}

// sealRepository seals all that is at paths, by the profiles that there are.
func (a *app) sealRepository(ctx context.Context, paths []string, f sealFlags) error {
	profiles, err := learn.LoadProfiles(f.profiles)
	if err == nil && len(profiles) > 0 && !f.anyDigest {
		err = a.checkDigests(ctx, strings.Join(paths, " "), profiles)
	}
	if err != nil {
		return err
	}
	var shared []profile.Profile
	if f.folder != "" {
		if shared, err = learn.LoadFolder(f.folder); err != nil {
			return err
		}
	}
	chosen, _, err := f.choices.Apply(slices.Concat(profiles, shared))
	if err != nil {
		return err
	}
	pin, err := f.pinning()
	if err != nil {
		return err
	}
	fitter := learn.Fitter{Profiles: chosen[:len(profiles)], Shared: chosen[len(profiles):], AcceptWeak: f.acceptWeak}
	configs, err := openCheckConfigs(f.config, paths, paths)
	if err != nil {
		return err
	}
	opts := seal.Options{
		Fitter: fitter, CopyUp: f.copyUp(), Pin: pin, Charts: f.charts,
		Today: time.Now().UTC().Format(time.DateOnly), Configs: configs.of,
	}
	var result *seal.Result
	if f.patch {
		result, err = seal.Folders(ctx, paths, opts)
	} else {
		result, err = seal.Files(ctx, paths, a.in, opts)
	}
	if err != nil {
		return err
	}
	if len(result.Shared) > 0 && !f.anyDigest {
		if err := a.checkDigests(ctx, strings.Join(paths, " "), result.Shared); err != nil {
			return err
		}
	}
	used := slices.Concat(fitter.Profiles, result.Shared)
	_, notes, err := f.choices.Apply(used) // again, for the notes about those that are used
	if err != nil {
		return err
	}
	a.note(notes...)
	a.note(result.Notes...)
	a.note(learn.DurableNotes(used)...)
	a.warn(learn.ExposureWarnings(used)...)
	if err := a.printResult(result, f); err != nil {
		return err
	}
	for _, line := range result.Report() {
		a.progress("%s", line)
	}
	return exitWith(result.Verdict(f.acceptUnlearned))
}

// printResult prints or writes the files of a result.
func (a *app) printResult(result *seal.Result, f sealFlags) error {
	list := learn.SealedFiles{List: document.NewList[learn.SealedManifest](document.SealedManifestList, nil)}
	for _, file := range result.Items {
		if f.diff {
			if err := file.WriteDiff(a.out); err != nil {
				return err
			}
			continue
		}
		if f.write && !file.Changes() {
			continue
		}
		_, sealed, err := file.Content()
		if err == nil && f.write {
			if err = durable.Rewrite(file.Name, sealed); errors.Is(err, fs.ErrNotExist) {
				err = durable.WriteFile(file.Name, sealed, 0o644)
			}
		}
		if err != nil {
			return err
		}
		if !f.write {
			list.Items = append(list.Items, learn.SealedManifest{Header: document.NewHeader(document.SealedManifest), File: file.Name, Manifest: string(sealed)})
		}
	}
	switch {
	case f.write || f.diff:
		return nil
	case len(list.Items) == 1:
		return a.print(list.Items[0])
	}
	return a.print(list)
}

// sealWorkloads seals the workloads of strictly read manifests, all of which must have a
// profile or are learned now.
func (a *app) sealWorkloads(ctx context.Context, paths []string, f sealFlags) error {
	loaded, err := source.LoadAll(ctx, paths, a.in)
	if err != nil {
		return err
	}
	all, err := learn.LoadProfiles(f.profiles)
	if err != nil {
		return err
	}
	if f.learn {
		all, err = a.learnToSeal(ctx, loaded, f.load, f.acceptWeak)
	} else {
		err = a.checkProfiles(ctx, loaded, all, f.acceptWeak, f.anyDigest)
	}
	if err != nil {
		return err
	}
	all, notes, err := f.choices.ApplyTo(loaded, all)
	if err != nil {
		return err
	}
	a.note(notes...)
	a.warn(learn.ExposureWarnings(all)...)
	opts := f.copyUp()
	opts.Note = func(e manifest.FieldError) { a.note(e.Error()) }
	sealed, err := learn.SealAll(loaded, all, opts)
	if err != nil {
		return err
	}
	if err := a.printSealed(loaded, sealed, f.write, f.diff); err != nil {
		return err
	}
	for _, e := range sealed.Left {
		a.progress("%s", e.Error())
	}
	return exitWith(sealed.Verdict())
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
	lessons, err := a.learn(ctx, workloads, load, nil, nil, false)
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
	return a.checkDigests(ctx, f.Name, all)
}

// checkDigests refuses profiles of images that were replaced since they were
// learned. It prints a note for each image that cannot be checked.
func (a *app) checkDigests(ctx context.Context, files string, all []profile.Profile) error {
	if a.endpoint == "" && !pod.HasStore(cmp.Or(a.root, pod.DefaultRoot)) {
		a.progress("note: there are no images here to look at, so it was not checked that the profiles are of the same ones")
		return nil
	}
	return a.withEngine(ctx, func(e *pod.Engine) error {
		return learn.CheckDigests(ctx, e, files, all, func(image, workload string) {
			a.progress("note: image %s is not loaded here, so it was not checked that the profile of %s is of the same one", image, workload)
		})
	})
}
