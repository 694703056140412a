package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/pod"
)

// Machine is the document of `doctor -o json`.
type Machine struct {
	document.Header
	Programs []Program `json:"programs"`
	Kernel   []Feature `json:"kernel"`
	UID      int       `json:"uid"` // of the user; only root, 0, can run pods

	missing bool // a program without which no pod runs
}

// A Program is a program that pods need.
type Program struct {
	Name  string `json:"name"`
	Found string `json:"found,omitempty"` // path and version
	Mend  string `json:"mend,omitempty"`  // how to install it
}

// A Feature is a feature of the kernel.
type Feature struct {
	Name    string `json:"name"`
	OK      bool   `json:"ok"`
	Detail  string `json:"detail,omitempty"`
	Without string `json:"without,omitempty"` // what does not work without it
}

// NewMachine returns the document of the programs that were found or are missing
// and the features of the kernel, for a user with a UID. missing may be nil.
func NewMachine(found pod.Programs, missing *pod.MissingProgramsError, kernel []Feature, uid int) Machine {
	m := Machine{Header: document.NewHeader(document.Machine), Kernel: kernel, UID: uid, missing: missing != nil}
	for _, p := range []Program{
		{Name: "containerd", Found: found.Containerd + " " + found.Version.String()},
		{Name: "containerd-shim-runc-v2", Found: found.Shim},
		{Name: "runc", Found: found.Runc + " " + found.RuncVersion},
		{Name: "CNI plugins", Found: found.CNI},
	} {
		if strings.HasPrefix(p.Found, "/") {
			m.Programs = append(m.Programs, p)
		}
	}
	iptables := Program{Name: "iptables", Found: found.Iptables}
	if iptables.Found == "" {
		iptables.Mend = "apt-get install iptables (without it pods reach nothing outside and hostPort does not work)"
	}
	m.Programs = append(m.Programs, iptables)
	if missing != nil {
		for _, p := range missing.Parts {
			m.Programs = append(m.Programs, Program{Name: p.Part, Mend: p.Mend})
		}
	}
	return m
}

// Verdict returns Findings if a program is missing without which no pod runs, and
// Incomplete for a user other than root: such a user runs no pods and can try only a
// part of the kernel.
func (m Machine) Verdict() Verdict { return verdictOf(m.missing, m.UID != 0) }

// WriteText implements Text.
func (m Machine) WriteText(w io.Writer, color bool) error {
	b := bufio.NewWriter(w)
	line := func(ok bool, name, detail, advice string) {
		// The mark is padded before it is painted, because a sequence has no width.
		mark := painter(color).paint(green, "ok      ")
		if !ok {
			mark = painter(color).paint(yellow, "missing ")
		}
		fmt.Fprintf(b, "%s %-24s %s\n", mark, name, detail)
		if advice != "" {
			fmt.Fprintf(b, "%-8s %-24s %s\n", "", "", advice)
		}
	}
	for _, p := range m.Programs {
		line(p.Mend == "", p.Name, p.Found, prefixed("mend: ", p.Mend))
	}
	for _, f := range m.Kernel {
		line(f.OK, f.Name, f.Detail, prefixed("without it: ", f.Without))
	}
	if m.UID != 0 {
		line(false, "root", fmt.Sprintf("this is user %d", m.UID), "mend: run adamant with sudo")
	}
	return b.Flush()
}

func (m Machine) writeFitted(w io.Writer, color bool, columns int) error {
	return wrap(m, w, color, columns)
}

// prefixed returns s after a prefix, or nothing if s is empty.
func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}
