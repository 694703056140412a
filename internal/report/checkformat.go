package report

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/text"
)

// findingText returns what a finding is about, and where its cause is if its place does not
// tell, on one line of bounded length.
func findingText(f policy.Finding) string {
	s := f.Message
	if f.Container != "" {
		s = "container " + f.Container + ": " + s
	}
	s = text.Excerpt(s, maxMessage)
	if cause := causeText(f.Place); cause != "" {
		s += " (" + cause + ")"
	}
	return s
}

// causeText returns where in a chart or overlay the cause of a finding is, apart from its
// place, or "".
func causeText(p manifest.Place) string {
	switch {
	case p.RenderedOnly:
		return "rendered only"
	case p.ValuesKey != "":
		return text.Excerpt(p.ValuesKey, maxMessage) + " in the values"
	}
	return ""
}

// problemText returns what was not understood and what to do, on one line of bounded
// length.
func problemText(e manifest.FieldError) string {
	s := e.Detail
	if e.Path != "" {
		s = e.Path + ": " + s
	}
	s = text.Excerpt(s, maxMessage)
	if e.Hint != "" {
		s += ". Hint: " + text.Excerpt(e.Hint, maxMessage)
	}
	return s
}

// objectName returns the kind, namespace and name of an object.
func objectName(o policy.Object) string {
	return manifest.Resource{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}.String()
}

// documentName names a document by its first object.
func documentName(d *manifest.Document) string {
	if len(d.Objects) == 0 {
		return "a document without objects"
	}
	name := text.Excerpt(d.Objects[0].String(), maxMessage)
	if n := len(d.Objects) - 1; n > 0 {
		name += " and " + text.Count(n, "other object")
	}
	return name
}

// ignoredText returns who accepted a finding, until when and why.
func ignoredText(i policy.Ignored) string {
	if i.By == nil {
		return text.Excerpt("in the baseline "+i.Baseline, maxMessage)
	}
	s := "until " + i.By.Until
	if i.By.Owner != "" {
		s += ", accepted by " + i.By.Owner
	}
	if i.By.Reason != "" {
		s += ": " + i.By.Reason
	}
	return text.Excerpt(s, maxMessage)
}

// writeValue writes a value as JSON that is safe for a terminal, without a newline at the
// end: on one line, or with its lines behind prefix if indent is not empty.
func writeValue(w io.Writer, v any, prefix, indent string) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent(prefix, indent)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(text.EscapeJSON(bytes.TrimRight(b.Bytes(), "\n")))
	return err
}
