package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/manifest/source"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/report"
)

func newCheckCommand(a *app) *cobra.Command {
	var files manifestFlag
	var ids []string
	failOn := policy.Low
	var showIgnored bool
	var config, baseline, writeBaseline string
	var profiles checkProfiles
	var images checkImages
	in := checkInput{Input: source.Input{Stdin: a.in}}
	cmd := &cobra.Command{
		Use:   "check PATH... | --context CONTEXT",
		Short: "Find what is mutable in manifests",
		Long: `Check reads manifests and prints what can change at run time: root file systems
that can be written, images that are not pinned, volumes over code, and whatever
undoes a read-only root. It needs no root, no runtime and no cluster.

A path is a file, a folder, of which all .yaml, .yml and .json files are read, also
those in the folders below, or - for standard input. A folder with a
kustomization.yaml is rendered as kubectl kustomize does, without the network, and
findings are at the lines of its resources, patches and images. A folder with a Chart.yaml
is rendered with the helm in PATH, offline, and findings are at the lines of its templates
and values. Pods are found by their shape in objects of any kind: Deployments, custom
resources, Lists, nested templates.
A file may have any size: it is read document by document.

With --context, or with -n or -A and no path, the objects of a cluster are checked. It
only lists them. Lines are those of kubectl get -o yaml. Pods that were made of a checked
template are left out, unless they have other containers, and so are Secrets' values. What
may not be listed is not understood.

Everything that was read is counted. A document that is not understood is named with
its line, and the exit code is 4 then. It is 3 if there are findings, and 0 if not.
With --fail-on, findings of less than that severity are printed and do not fail.

-o sarif is for code scanning and editors, -o github for lines of a pull request,
-o junit for whatever shows results of tests, -o openreports for a cluster, -o html is
one page.

An exception ignores findings of a rule until a day. It is an annotation of an object or
of a pod template, and has an owner and a reason. What is ignored is counted, and an
exception that has ended, is not needed or is not understood is a finding itself:

  adamant.sh/ignore.pull-policy: "until=2027-03-31; owner=team-shop; reason=TICKET-1"

A file .adamant.yaml has exceptions for the objects of its folder and the folders below:

  exceptions:
  - rules: [root-not-read-only]
    selector: {kind: DaemonSet, namespace: kube-system, name: "cni-*", container: agent}
    until: 2027-03-31
    owner: team-net
    reason: TICKET-2

In an old repository, --write-baseline FILE writes what is there, and with --baseline FILE
only other findings fail. What is in the file is counted, and so is what no longer occurs.

A profile from adamant learn tells which volumes are missing and which are not needed: one
beside the manifest that ends in .profile, --profile FILE, or one of a folder that fits,
--profiles DIR. One that does not fit any more, or was not proven, makes the exit code 4.

With --image FILE, an archive of images or an OCI layout, it is not a convention but the
content of the image that decides which files a volume hides, and where code is.

adamant explain RULE prints why a rule exists, what it decides, and the fix.`,
		Example: `  adamant check deploy/
  adamant check overlays/prod
  adamant check chart/ --values prod.yaml --namespace shop
  adamant check web.yaml --rules root-not-read-only,image-not-pinned
  adamant check web.yaml --profile web.profile
  adamant check deploy/ --profiles profiles/
  adamant check web.yaml --image web.tar
  adamant check --context production -n shop
  adamant check -A --fail-on high
  adamant check deploy/ --fail-on high -o json
  adamant check deploy/ --show-ignored
  helm template chart/ | adamant check - --config ci/adamant.yaml
  adamant check deploy/ --write-baseline check.baseline
  adamant check deploy/ --baseline check.baseline
  adamant check deploy/ -o sarif > check.sarif
  adamant check deploy/ -o html > check.html`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := in.open(cmd, &files, args); err != nil {
				return err
			}
			rules, err := policy.Select(ids)
			if err != nil {
				return usageError{err}
			}
			checker := policy.Checker{Rules: rules, Today: time.Now().UTC().Format(time.DateOnly), Edits: report.Format(a.output) == report.FormatSARIF}
			if cmd.Flags().Changed("profiles") && profiles.folder == "" {
				return usagef("--profiles: the name of the folder is empty")
			}
			if err := profiles.open(&in, rules, checker.Today); err != nil {
				return err
			}
			if err := images.open(cmd.Context()); err != nil {
				return err
			}
			if len(images.sources) > 0 {
				checker.Image = images.content
			}
			known, err := openBaseline(baseline, writeBaseline)
			if err != nil {
				return err
			}
			summary := report.NewCheckSummary(rules, failOn)
			summary.ShowIgnored, summary.Baseline = showIgnored, known.counts()
			w := a.checkWriter(in.names(), rules, summary)
			configs, err := openCheckConfigs(config, in.Paths, in.folders())
			if err != nil {
				return err
			}
			count, err := checkEach(cmd.Context(), checker, configs, &profiles, known, &in, w)
			if err != nil {
				return err
			}
			*summary.Helm = report.CheckHelm{Version: count.Helm, Charts: count.Charts}
			if err := known.end(rules, summary.Baseline); err != nil {
				return err
			}
			verdict, err := w.Close(count.Files)
			if err != nil {
				return err
			}
			notes, err := profiles.end()
			a.note(append(notes, images.end()...)...)
			if err != nil {
				return err
			}
			return exitWith(verdict)
		},
	}
	files.add(cmd, "check")
	in.add(cmd)
	cmd.Flags().StringSliceVar(&ids, "rules", nil, "evaluate only these rules, separated by commas; adamant explain lists all")
	cmd.Flags().TextVar(&failOn, "fail-on", policy.Low, "least severity that makes the exit code 3: low, medium, high or critical")
	cmd.Flags().StringVar(&config, "config", "", "use this configuration instead of the files "+source.ConfigName+" of folders and their parents")
	cmd.Flags().StringVar(&baseline, "baseline", "", "file of --write-baseline: findings that are in it do not fail, and are counted")
	cmd.Flags().StringVar(&writeBaseline, "write-baseline", "", "write the findings to this file, sorted, so that only others fail with --baseline")
	cmd.Flags().BoolVar(&showIgnored, "show-ignored", false, "print the findings that exceptions ignore or that are in the baseline, too, with who accepted them and why")
	profiles.add(cmd.Flags())
	images.add(cmd.Flags())
	addChartFlags(cmd, &in.Charts)
	must(cmd.RegisterFlagCompletionFunc("fail-on", choices("low", "medium", "high", "critical")))
	must(cmd.RegisterFlagCompletionFunc("rules", completeRules))
	return withFormats(cmd, report.FormatSARIF, report.FormatJUnit, report.FormatGitHub, report.FormatOpenReports, report.FormatHTML)
}

// addChartFlags adds the flags for charts, with the names that helm template has for them.
func addChartFlags(cmd *cobra.Command, o *source.ChartOptions) {
	cmd.Flags().StringArrayVar(&o.Values, "values", nil, "file with values for charts; may be repeated, the last one counts most")
	cmd.Flags().StringArrayVar(&o.Set, "set", nil, "value for charts, KEY=VALUE as for helm template --set; may be repeated")
	cmd.Flags().StringVar(&o.Release, "release", "release-name", "name of the release of charts")
	cmd.Flags().StringVar(&o.KubeVersion, "kube-version", "", "version of Kubernetes that charts are rendered for; without it, the one of helm's library")
}

// checkWriter returns the writer for --output. All but YAML are written while documents are
// read.
func (a *app) checkWriter(paths []string, rules []policy.Rule, s report.CheckSummary) report.CheckWriter {
	switch report.Format(a.output) {
	case report.FormatSARIF:
		return report.NewCheckSARIFWriter(a.out, rules, s)
	case report.FormatGitHub:
		return report.NewCheckGitHubWriter(a.out, s)
	case report.FormatJUnit:
		return report.NewCheckJUnitWriter(a.out, s)
	case report.FormatHTML:
		return report.NewCheckHTMLWriter(a.out, time.Now(), s)
	case report.FormatOpenReports:
		return report.NewCheckOpenReportsWriter(a.out, paths, time.Now(), s)
	}
	switch p := a.printer().(type) {
	case report.JSONPrinter:
		return report.NewCheckJSONWriter(p.Out, s)
	case report.TextPrinter:
		return report.NewCheckTextWriter(p, s)
	default:
		return report.NewCheckCollector(p, s)
	}
}

func completeRules(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var ids []string
	for _, r := range policy.Rules() {
		ids = append(ids, r.ID)
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

func newExplainCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "explain [RULE...]",
		Short: "Explain the rules of check",
		Long: `Explain prints why a rule of adamant check exists, what it looks at, what to do
about its findings, and the standards that ask for the same. Without an argument it
lists all rules.`,
		Example: `  adamant explain
  adamant explain root-not-read-only
  adamant explain -o json`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeRules,
		RunE: func(_ *cobra.Command, args []string) error {
			rules, err := policy.Select(args)
			if err != nil {
				return usageError{err}
			}
			return a.print(report.NewRuleList(rules))
		},
	}
}
