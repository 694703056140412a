package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/learn"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/report"
)

func newDoctorCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine can do, what is missing and how to get it",
		Long: `Doctor looks for the programs that pods need and tries what the kernel offers.
It exits 3 if something is missing that learning or running cannot do without.`,
		Example: `  adamant doctor
  adamant doctor -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			doc := report.Machine{Header: document.NewHeader(document.Machine)}
			found, err := pod.FindPrograms(cmd.Context())
			var missing *pod.MissingProgramsError
			if err != nil && !errors.As(err, &missing) {
				return err
			}
			doc.Programs = parts(found, missing)
			doc.Kernel = learn.KernelFeatures(cmd.Context())
			if a.json() {
				err = a.printJSON(doc)
			} else {
				a.printDoctor(doc)
				err = nil
			}
			if err == nil && missing != nil {
				err = exitWith(report.Findings)
			}
			return err
		},
	}
}

func parts(b pod.Programs, missing *pod.MissingProgramsError) []report.Program {
	var out []report.Program
	for _, p := range []report.Program{
		{Name: "containerd", Found: b.Containerd + " " + b.Version.String()},
		{Name: "containerd-shim-runc-v2", Found: b.Shim},
		{Name: "runc", Found: b.Runc + " " + b.RuncVersion},
		{Name: "CNI plugins", Found: b.CNI},
	} {
		if p.Found != "" && p.Found[0] == '/' {
			out = append(out, p)
		}
	}
	switch {
	case b.Iptables != "":
		out = append(out, report.Program{Name: "iptables", Found: b.Iptables})
	default:
		out = append(out, report.Program{Name: "iptables", Mend: "apt-get install iptables (without it pods reach nothing outside and hostPort does not work)"})
	}
	if missing != nil {
		for _, m := range missing.Parts {
			out = append(out, report.Program{Name: m.Part, Mend: m.Mend})
		}
	}
	return out
}

func (a *app) printDoctor(doc report.Machine) {
	line := func(ok bool, name, detail, mend string) {
		mark, code := "ok", "32"
		if !ok {
			mark, code = "missing", "33"
		}
		if a.colored(a.out) {
			mark = "\x1b[" + code + "m" + fmt.Sprintf("%-8s", mark) + "\x1b[0m"
		}
		fmt.Fprintf(a.out, "%-8s %-24s %s\n", mark, name, detail)
		if mend != "" {
			fmt.Fprintf(a.out, "%-8s %-24s %s\n", "", "", mend)
		}
	}
	for _, p := range doc.Programs {
		mend := p.Mend
		if mend != "" {
			mend = "mend: " + mend
		}
		line(p.Mend == "", p.Name, p.Found, mend)
	}
	for _, f := range doc.Kernel {
		without := f.Without
		if without != "" {
			without = "without it: " + without
		}
		line(f.OK, f.Name, f.Detail, without)
	}
	if os.Geteuid() != 0 {
		line(false, "root", fmt.Sprintf("this is user %d", os.Geteuid()), "mend: run adamant with sudo")
	}
}
