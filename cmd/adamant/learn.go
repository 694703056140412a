package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/adamant-sh/adamant/internal/learn"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/pod"
)

// loadFlags are the flags for the load on a workload.
type loadFlags struct {
	load  learn.Load
	ready time.Duration
}

func (l *loadFlags) add(flags *pflag.FlagSet) {
	flags.StringArrayVar(&l.load.Commands, "exercise", nil, "[KIND/NAME[/CONTAINER]=]COMMAND to run in a container once it is ready; may be repeated")
	flags.StringArrayVar(&l.load.HTTP, "exercise-http", nil, "[KIND/NAME[/CONTAINER]=] and /path, :port/path or URL to ask the pod for; may be repeated (default: / of each declared port that answers HTTP)")
	flags.StringArrayVar(&l.load.Replay, "replay", nil, "[KIND/NAME=]FILE whose requests are sent to the pod, HAR or an access log; may be repeated")
	flags.DurationVar(&l.load.For, "for", 0, "repeat the load for this long (default: once)")
	flags.DurationVar(&l.load.Quiet, "quiet", 2*time.Second, "then wait until nothing new was written for this long")
	flags.DurationVar(&l.ready, "ready-timeout", 90*time.Second, "how long a pod may take to get ready, and then to answer its load")
}

func newLearnCommand(a *app) *cobra.Command {
	var load loadFlags
	var files manifestFlag
	var earlier []string
	var save string
	var leaveOneOut bool
	cmd := &cobra.Command{
		Use:   "learn IMAGE|FILE...",
		Short: "Run a workload and find exactly what it must write",
		Long: `Learn runs each workload of a manifest, or a pod of an image, with a writable
root and traces what it writes, from before its first instruction to after its
last. From that follows a profile: each path, by which program, how and how
often, and the smallest set of volumes with which the root can be read-only.
The profile is then proven by running the workload sealed, under the same load,
and widened by what fails. It is printed as YAML, or JSON with -o json. A note
names each volume with data that should outlive its pod.

--save DIR/ adds the profile to a folder, for seal and check --profiles DIR: to a file for
its images, commands and arguments. What is known of them there is added to the new
profile before its proof, so that several teams can share a folder.

Start-up alone misses much of what a program writes: give it load. What only an
exercise itself writes needs no volume. Its output counts as well as its exit code.`,
		Example: `  adamant learn nginx:latest --exercise-http /
  adamant learn web.yaml --exercise-http :8080/ --for 1m > web.profile
  adamant learn redis.yaml --exercise 'redis-cli save' --leave-one-out
  adamant learn shop.yaml --exercise-http deploy/web=/ --exercise 'sts/db=psql -c checkpoint'
  adamant learn web.yaml --replay access.log
  adamant learn web.yaml --profile web.profile --exercise 'run-backup' --save web.profile
  adamant learn web.yaml --exercise-http :8080/ --save profiles/`,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			old, err := learn.LoadProfiles(earlier)
			if err != nil {
				return err
			}
			paths, err := files.paths(args)
			if err != nil {
				return err
			}
			f, err := learn.LoadManifests(ctx, paths, a.in)
			if errors.Is(err, fs.ErrNotExist) {
				return hint{err, "name a manifest that exists, or an image"}
			}
			if err != nil {
				return err
			}
			if f, err = files.withConfigMaps(ctx, a, f); err != nil {
				return err
			}
			workloads, err := a.workloads(f, load)
			if err != nil {
				return err
			}
			saving, err := saveTo(save)
			if err != nil {
				return err
			}
			lessons, failed := a.learn(ctx, workloads, load, old, saving.known, leaveOneOut)
			if len(lessons) == 0 {
				return failed
			}
			return partly(failed, a.printLessons(lessons, learn.PassedOver(f, workloads), saving))
		},
	}
	files.add(cmd, "learn")
	files.addConfigMaps(cmd)
	load.add(cmd.Flags())
	cmd.Flags().StringArrayVar(&earlier, "profile", nil, "an earlier profile of the same workload to add to; may be repeated")
	cmd.Flags().StringVar(&save, "save", "", "write the profile to this file, or add it to this folder (DIR/), and a summary to stdout")
	cmd.Flags().BoolVar(&leaveOneOut, "leave-one-out", false, "run once more without each volume, and mark it hard, soft or silent")
	return cmd
}

// partly returns the error of a command that failed for some workloads and printed
// the results of the others. printed is the error of printing them, or their verdict.
func partly(failed, printed error) error {
	var verdict status
	if failed != nil && errors.As(printed, &verdict) {
		return failed
	}
	return errors.Join(failed, printed)
}

// learn runs workloads and returns their profiles. With an error, it returns those of the
// workloads that did not fail.
func (a *app) learn(ctx context.Context, workloads []learn.Workload, load loadFlags, old, shared []profile.Profile, leaveOneOut bool) ([]learn.Lesson, error) {
	var lessons []learn.Lesson
	err := a.traced(ctx, load, func(o learn.Options) (err error) {
		o.Shared = shared
		lessons, err = learn.LearnAll(ctx, o, workloads, old, leaveOneOut)
		return err
	})
	return lessons, err
}

// traced calls do with the options by which workloads are learned and proven. The
// steps appear on stderr.
func (a *app) traced(ctx context.Context, load loadFlags, do func(learn.Options) error) error {
	return a.withEngine(ctx, func(e *pod.Engine) error {
		p := a.log.Start("", 0, nil)
		defer p.End()
		return do(learn.Options{Engine: e, Load: load.load, Ready: load.ready, Say: p.Step, Expect: p.Expect})
	})
}

// workloads returns the workloads of a manifest, and prints a note for each field
// that has no meaning on one machine and each object that is ignored. Load that is
// meant for none of them is an invalid command line.
func (a *app) workloads(f manifest.File, load loadFlags) ([]learn.Workload, error) {
	workloads, err := learn.Workloads(f)
	a.note(learn.Notes(workloads)...)
	a.note(manifest.PassedOverNotes(learn.PassedOver(f, workloads))...)
	if err != nil {
		return nil, err
	}
	return workloads, a.checkLoad(load, workloads)
}

// checkLoad returns an error for load that no workload gets.
func (a *app) checkLoad(load loadFlags, workloads []learn.Workload) error {
	notes, err := load.load.Check(workloads)
	a.note(notes...)
	var misused *learn.LoadError
	if errors.As(err, &misused) {
		return usageError{err}
	}
	return err
}

// note prints notes.
func (a *app) note(notes ...string) {
	for _, n := range notes {
		a.progress("note: %s", n)
	}
}

// warn prints warnings.
func (a *app) warn(warnings ...string) {
	for _, w := range warnings {
		a.progress("WARNING: %s", w)
	}
}

// A saving is where profiles are saved.
type saving struct {
	name   string // of --save; empty if they are printed
	folder bool
	known  []profile.Profile // in the folder
}

// saveTo returns the saving for --save: in a folder if there is one of this name, or if the
// name ends in a slash.
func saveTo(name string) (s saving, err error) {
	s.name, s.folder = name, strings.HasSuffix(name, "/")
	info, err := os.Stat(name)
	switch {
	case name == "" || err != nil:
		return s, nil // a file, or a folder that is made
	case info.IsDir():
		s.folder = true
		s.known, err = learn.LoadFolder(name)
	}
	return s, err
}

// save saves profiles.
func (a *app) save(list learn.LessonList, to saving) error {
	switch {
	case to.name == "":
		return nil
	case !to.folder:
		return list.Save(to.name)
	}
	notes, err := list.SaveIn(to.name, to.known)
	a.note(notes...)
	return err
}

// printLessons prints the profiles or, if they were saved, a summary. A profile
// that could not be proven is incomplete.
func (a *app) printLessons(lessons []learn.Lesson, passedOver []manifest.Other, save saving) error {
	list := learn.NewLessonList(lessons, save.name != "")
	list.PassedOver = passedOver
	if err := a.save(list, save); err != nil {
		return err
	}
	if err := a.print(list); err != nil {
		return err
	}
	for _, l := range lessons {
		a.progress("%s", l.Proof.Summary())
		a.warn(learn.ExposureWarnings([]profile.Profile{l.Profile})...)
		a.note(learn.DurableNotes([]profile.Profile{l.Profile})...)
	}
	return exitWith(list.Verdict())
}
