package local

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/report"
	"github.com/adamant-sh/adamant/internal/text"
)

// A ClaimList is the document of `claims -o json`.
type ClaimList struct {
	document.List[ClaimStatus]
}

// NewClaimList returns the document of the claims of a namespace, or of all if that is
// empty.
func NewClaimList(list []ClaimStatus, namespace string) ClaimList {
	list = slices.DeleteFunc(list, func(c ClaimStatus) bool { return namespace != "" && c.Namespace != namespace })
	return ClaimList{document.NewList(document.ClaimList, list)}
}

// Names returns the names of the claims.
func (l ClaimList) Names() []report.Name {
	var names []report.Name
	for _, c := range l.Items {
		names = append(names, report.Name{Namespace: c.Namespace, Kind: "PersistentVolumeClaim", Name: c.Name})
	}
	return names
}

// WriteText implements report.Text.
func (l ClaimList) WriteText(w io.Writer, _ bool) error {
	table := text.NewTable(w)
	fmt.Fprintln(table, "NAME\tNAMESPACE\tUSED BY\tSIZE\tAGE")
	for _, c := range l.Items {
		size, age := text.Bytes(c.Bytes), "-"
		if c.Err != "" {
			size = "unknown: " + text.EscapeLines(text.Cut(c.Err, 60))
		}
		if !c.Created.IsZero() {
			age = text.Age(time.Since(c.Created))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", text.Escape(c.Name), text.Escape(c.Namespace), text.OrDash(c.users()), size, age)
	}
	return table.Flush()
}

// users returns who uses a claim: the workloads, or else the pods.
func (c ClaimStatus) users() string {
	list := c.Workloads
	if len(list) == 0 {
		list = c.Pods
	}
	if len(list) < 3 {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", list[0], len(list)-1)
}
