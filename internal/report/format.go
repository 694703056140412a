package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/adamant-sh/adamant/internal/text"
)

// A Format is a form in which results are printed.
type Format string

// The formats. All commands have the first three.
const (
	FormatText Format = "text"
	FormatJSON Format = "json"
	FormatYAML Format = "yaml" // the document of FormatJSON
	FormatWide Format = "wide" // FormatText with more columns
	FormatName Format = "name" // a name in each line, as commands accept it

	FormatSARIF       Format = "sarif"       // SARIF 2.1.0, for code scanning
	FormatGitHub      Format = "github"      // workflow commands of GitHub Actions
	FormatJUnit       Format = "junit"       // the XML of JUnit
	FormatOpenReports Format = "openreports" // ClusterReports of openreports.io
	FormatHTML        Format = "html"        // a page
)

// IsDocument reports whether the output is for programs, so that it must be complete and
// have nothing else in it.
func (f Format) IsDocument() bool { return f != FormatText && f != FormatWide }

// wide is implemented by results that FormatWide prints with more columns.
type wide interface {
	WriteWide(w io.Writer) error
}

// A WidePrinter prints results for people, with all columns and without shortening them.
type WidePrinter struct {
	Out   io.Writer
	Color bool
}

// Print implements Printer.
func (p WidePrinter) Print(result Text) error {
	if w, ok := result.(wide); ok {
		return w.WriteWide(p.Out)
	}
	return result.WriteText(p.Out, p.Color)
}

// A Name is the name of an object. Those of images have neither a namespace nor a kind.
type Name struct {
	Namespace, Kind, Name string
}

// named is implemented by results that have names.
type named interface {
	Names() []Name
}

// A NamePrinter prints only the names of the objects of a result, one a line:
// "deployment/web", and "shop/deployment/web" if the objects are of several namespaces.
type NamePrinter struct {
	Out io.Writer
}

// Print implements Printer.
func (p NamePrinter) Print(result Text) error {
	n, ok := result.(named)
	if !ok {
		return fmt.Errorf("%T has no names", result)
	}
	names := n.Names()
	b := bufio.NewWriter(p.Out)
	for _, one := range names {
		line := one.Name
		if one.Kind != "" {
			line = strings.ToLower(one.Kind) + "/" + line
		}
		if one.Namespace != "" && hasOther(names, one.Namespace) {
			line = one.Namespace + "/" + line
		}
		fmt.Fprintln(b, text.Escape(line))
	}
	return b.Flush()
}

func hasOther(names []Name, namespace string) bool {
	for _, n := range names {
		if n.Namespace != namespace {
			return true
		}
	}
	return false
}
