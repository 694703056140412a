package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/text"
	"github.com/adamant-sh/adamant/internal/workload/api"
	"github.com/adamant-sh/adamant/internal/workload/local"
)

func newStatusCommand(a *app) *cobra.Command {
	return a.on("status", "Show a workload with its instances, images and addresses", `  adamant status web
  adamant status shop/deploy/web -o json`, func(_ context.Context, _ *api.Client, s local.Status) error {
		if a.json() {
			return a.printJSON(local.NewDocument(s))
		}
		return printStatus(a.out, s)
	})
}

// printStatus prints a workload as text.
func printStatus(out io.Writer, s local.Status) error {
	fmt.Fprintf(out, "%s %s/%s  %s, generation %d, %d of %d ready\n", s.Kind, s.Namespace, s.Name, phaseOf(s), s.Generation, s.Ready, s.Replicas)
	for _, line := range []struct{ name, text string }{{"reason", s.Reason}, {"waiting for", s.Waiting}, {"traffic", sharesOf(s)}} {
		if line.text != "" {
			fmt.Fprintf(out, "  %s: %s\n", line.name, text.EscapeLines(line.text))
		}
	}
	for _, i := range s.Images {
		fmt.Fprintf(out, "  image: %s %s (%s)\n", i.For, text.EscapeLines(i.Image), cut(i.Digest, 19))
	}
	for _, svc := range s.Services {
		fmt.Fprintf(out, "  service: %s at %s, %d requests, %d errors\n", svc.Name, orDash(svc.Address), svc.Requests, svc.Errors)
		if svc.Err != "" {
			fmt.Fprintf(out, "    not open: %s\n", text.EscapeLines(svc.Err))
		}
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "  INSTANCE\tGENERATION\tPHASE\tADDRESS\tDRIFT\tCRASHES\tAGE\tLAST")
	for _, i := range s.Instances {
		fmt.Fprintf(w, "  %s\t%d\t%s\t%s\t%s\t%d\t%s\t%s\n", i.Name, i.Generation, i.Phase, orDash(i.IP), driftOfInstance(i), i.Crashes, age(i.Made), cut(text.EscapeLines(firstLineOf(i.Message)), 60))
	}
	return w.Flush()
}

func firstLineOf(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func driftOfInstance(i local.InstanceStatus) string {
	switch {
	case i.Drift == "":
		return "-"
	case i.Changes > 0:
		return fmt.Sprintf("%s (%d)", i.Drift, i.Changes)
	}
	return string(i.Drift)
}

// sharesOf formats the shares of the traffic, empty if one generation gets all
// of it.
func sharesOf(s local.Status) string {
	if len(s.Shares) < 2 {
		return ""
	}
	var generations []int
	for g := range s.Shares {
		generations = append(generations, g)
	}
	slices.Sort(generations)
	var parts []string
	for _, g := range generations {
		parts = append(parts, fmt.Sprintf("generation %d %d%%", g, s.Shares[g]))
	}
	return strings.Join(parts, ", ")
}
