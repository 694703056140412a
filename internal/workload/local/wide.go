package local

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/text"
)

// WriteWide writes more columns than WriteText, and nothing is cut.
func (l WorkloadList) WriteWide(w io.Writer) error {
	table := text.NewTable(w)
	fmt.Fprintln(table, "NAME\tNAMESPACE\tKIND\tREADY\tUPDATED\tGENERATION\tSTABLE\tPHASE\tSTRATEGY\tBEGAN\tADDRESSES\tIMAGES\tREASON")
	for _, s := range l.Items {
		began := "-"
		if !s.Began.IsZero() {
			began = text.Age(time.Since(s.Began))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, s.Namespace, s.Kind, s.ready(), s.Updated,
			s.Generation, s.Stable, s.phase(), s.Strategy, began, text.OrDash(s.addresses()), text.OrDash(s.images()), text.Escape(s.remark()))
	}
	return table.Flush()
}

// WriteWide writes more columns than WriteText, and nothing is cut.
func (d Document) WriteWide(w io.Writer) error {
	b := bufio.NewWriter(w)
	d.writeHead(b, func(digest string) string { return digest })
	table := text.NewTable(b)
	fmt.Fprintln(table, "  INSTANCE\tGENERATION\tPHASE\tADDRESS\tDRIFT\tTRAFFIC\tCRASHES\tAGE\tRESTART\tEVIDENCE\tLAST")
	for _, i := range d.Workload.Instances {
		traffic, restart := "yes", "-"
		if i.Isolated || i.Phase != "Ready" {
			traffic = "no"
		}
		if wait := time.Until(i.RestartAt); wait > 0 {
			restart = "in " + text.Age(wait)
		}
		fmt.Fprintf(table, "  %s\t%d\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", i.Name, i.Generation, i.phaseText(), text.OrDash(i.IP), i.drift(), traffic,
			i.Crashes, text.Age(time.Since(i.Made)), restart, text.OrDash(text.Escape(i.Evidence)), text.Escape(i.Message))
	}
	table.Flush() // b keeps the error
	return b.Flush()
}

// addresses returns the addresses of all Services and Ingress objects.
func (s Status) addresses() string {
	var all []string
	for _, svc := range s.Services {
		if svc.Address != "" {
			all = append(all, svc.Address)
		}
	}
	for _, i := range s.Ingresses {
		for _, address := range []string{i.Address, i.TLS} {
			if address != "" && !slices.Contains(all, address) {
				all = append(all, address)
			}
		}
	}
	return strings.Join(all, ",")
}

func (s Status) images() string {
	var all []string
	for _, i := range s.Images {
		all = append(all, text.Escape(i.Image))
	}
	return strings.Join(all, ",")
}

// Names returns the name of the workload.
func (d Document) Names() []report.Name { return []report.Name{d.Workload.reportName()} }

// Names returns the names of the workloads.
func (l WorkloadList) Names() []report.Name {
	var names []report.Name
	for _, s := range l.Items {
		names = append(names, s.reportName())
	}
	return names
}

// Names returns the names of the objects that were applied.
func (d OutcomeDocument) Names() []report.Name {
	var names []report.Name
	for _, r := range d.Results {
		names = append(names, report.Name{Namespace: r.Namespace, Kind: r.Kind, Name: r.Name})
	}
	return names
}

func (s Status) reportName() report.Name {
	return report.Name{Namespace: s.Namespace, Kind: s.Kind, Name: s.Name}
}
