package policy

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/document"
)

// MaxBaselineSize bounds a baseline, in bytes.
const MaxBaselineSize = 64 << 20

// A BaselineDocument is the file of check --baseline: the findings that are known.
type BaselineDocument struct {
	document.Header
	Findings []BaselineFinding `json:"findings"`
}

// A BaselineFinding is one or several findings with the same fingerprint. Only the
// fingerprint and the count decide; the other fields are for people who read the file.
type BaselineFinding struct {
	Rule        string   `json:"rule"`
	Kind        string   `json:"kind,omitempty"`
	Namespace   string   `json:"namespace,omitempty"`
	Name        string   `json:"name,omitempty"`
	File        string   `json:"file,omitempty"` // of an object without a name
	Container   string   `json:"container,omitempty"`
	Path        string   `json:"path"`            // of the field, without indexes
	About       []string `json:"about,omitempty"` // what the finding is about: the path of a mount
	Count       int      `json:"count"`           // how many findings are the same
	Fingerprint string   `json:"fingerprint"`
}

// A Baseline is the findings that were known when it was written. Only others count.
type Baseline struct {
	File     string
	findings map[string]*BaselineFinding // by fingerprint
	left     map[string]int              // how many of each are not covered yet
}

// NewBaseline returns a baseline without findings, which Add adds to.
func NewBaseline(file string) *Baseline {
	return &Baseline{File: file, findings: map[string]*BaselineFinding{}, left: map[string]int{}}
}

// Add adds the findings of a document, which it then covers. Those about exceptions are left
// out, because an exception is written or removed, and not kept.
func (b *Baseline) Add(r *Result) {
	b.cover(r, func(f Finding) bool {
		fingerprint := f.Fingerprint()
		known := b.findings[fingerprint]
		if known == nil {
			known = newBaselineFinding(f, fingerprint)
			b.findings[fingerprint] = known
		}
		known.Count++
		return true
	})
}

// Cover moves the findings of a document that are in the baseline to those that are
// ignored: of equal ones as many as are in the baseline.
func (b *Baseline) Cover(r *Result) {
	b.cover(r, func(f Finding) bool {
		fingerprint := f.Fingerprint()
		if b.left[fingerprint] == 0 {
			return false
		}
		b.left[fingerprint]--
		return true
	})
}

func (b *Baseline) cover(r *Result, known func(Finding) bool) {
	kept := r.Findings[:0]
	for _, f := range r.Findings {
		if IsAboutExceptions(f.Rule) || !known(f) {
			kept = append(kept, f)
			continue
		}
		r.Ignored = append(r.Ignored, Ignored{Finding: f, Baseline: b.File})
	}
	r.Findings = kept
}

// Gone returns how many findings of the baseline did not occur, of those rules.
func (b *Baseline) Gone(rules []Rule) int {
	evaluated := Checker{Rules: rules}.ruleSet()
	gone := 0
	for fingerprint, n := range b.left {
		if evaluated[b.findings[fingerprint].Rule] != nil {
			gone += n
		}
	}
	return gone
}

func newBaselineFinding(f Finding, fingerprint string) *BaselineFinding {
	id := f.identity
	path := id.field
	if id.pod != "" {
		path = id.pod + "." + strings.TrimPrefix(path, ".")
	}
	known := &BaselineFinding{
		Rule: f.Rule, Kind: f.Object.Kind, Namespace: f.Object.Namespace, Name: f.Object.Name, Container: f.Container, Path: path, About: id.subject,
		Fingerprint: fingerprint,
	}
	if known.Name == "" {
		known.File = f.Place.File
	}
	return known
}

// Encode returns the file: JSON with a finding in each line, sorted, so that a change can be
// reviewed.
func (b *Baseline) Encode() ([]byte, error) {
	list := make([]*BaselineFinding, 0, len(b.findings))
	for _, f := range b.findings {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b *BaselineFinding) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name), strings.Compare(a.File, b.File),
			strings.Compare(a.Container, b.Container), strings.Compare(a.Rule, b.Rule), strings.Compare(a.Path, b.Path), slices.Compare(a.About, b.About),
			strings.Compare(a.Fingerprint, b.Fingerprint))
	})
	header := document.NewHeader(document.CheckBaseline)
	var out bytes.Buffer
	fmt.Fprintf(&out, "{\n  \"apiVersion\": %q,\n  \"kind\": %q,\n  \"findings\": [", header.APIVersion, header.Kind)
	for i, f := range list {
		if i > 0 {
			out.WriteByte(',')
		}
		line, err := json.Marshal(f)
		if err != nil {
			return nil, err
		}
		out.WriteString("\n    ")
		out.Write(line)
	}
	if len(list) > 0 {
		out.WriteString("\n  ")
	}
	out.WriteString("]\n}\n")
	if out.Len() > MaxBaselineSize {
		return nil, fmt.Errorf("a baseline larger than %d MiB: check fewer files at once", MaxBaselineSize>>20)
	}
	return out.Bytes(), nil
}

// A BaselineError is returned for a file that is no complete baseline.
type BaselineError struct {
	File  string
	Line  int
	Cause error
}

// Error names the file and the line.
func (e *BaselineError) Error() string {
	return fmt.Sprintf("%s:%d: not a baseline: %v", e.File, e.Line, e.Cause)
}

func (e *BaselineError) Unwrap() error { return e.Cause }

// Mend returns how the error can be fixed.
func (e *BaselineError) Mend() string {
	return "restore it from version control, or write it again: adamant check PATH --write-baseline FILE"
}

// ParseBaseline reads a file that Encode wrote. What is missing, unknown or damaged in it is
// an error.
func ParseBaseline(file string, data []byte) (*Baseline, error) {
	p := baselineParser{decoder: json.NewDecoder(bytes.NewReader(data)), baseline: NewBaseline(file)}
	p.decoder.DisallowUnknownFields()
	if err := p.parse(); err != nil {
		at := p.decoder.InputOffset()
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			at = syntax.Offset
		}
		if p.item > 0 {
			at = p.item
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err, at = errors.New("it ends too early"), int64(len(data))
		}
		return nil, &BaselineError{File: file, Line: 1 + bytes.Count(data[:min(int(at), len(data))], []byte("\n")), Cause: err}
	}
	return p.baseline, nil
}

type baselineParser struct {
	decoder  *json.Decoder
	baseline *Baseline
	item     int64 // where the finding is that is being read
}

func (p *baselineParser) parse() error {
	if err := p.expect(json.Delim('{')); err != nil {
		return err
	}
	header := document.NewHeader(document.CheckBaseline)
	seen := map[string]bool{}
	for p.decoder.More() {
		token, err := p.decoder.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		if seen[name] {
			return fmt.Errorf("%s is there twice", name)
		}
		seen[name] = true
		switch name {
		case "apiVersion":
			err = p.expect(header.APIVersion)
		case "kind":
			err = p.expect(header.Kind)
		case "findings":
			err = p.findings()
		default:
			err = fmt.Errorf("unknown field %q", cut(name))
		}
		if err != nil {
			return err
		}
	}
	if err := p.expect(json.Delim('}')); err != nil {
		return err
	}
	for _, name := range []string{"apiVersion", "kind", "findings"} {
		if !seen[name] {
			return fmt.Errorf("%s is missing", name)
		}
	}
	if _, err := p.decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more behind it")
	}
	return nil
}

// expect reads one token.
func (p *baselineParser) expect(want json.Token) error {
	got, err := p.decoder.Token()
	if err == nil && got != want {
		err = fmt.Errorf("expected %v, found %s", want, cut(fmt.Sprint(got)))
	}
	return err
}

func (p *baselineParser) findings() error {
	if err := p.expect(json.Delim('[')); err != nil {
		return err
	}
	for p.decoder.More() {
		f := new(BaselineFinding)
		err := p.decoder.Decode(f)
		p.item = p.decoder.InputOffset() // an error is about what ends here
		if err != nil {
			return err
		}
		if err := p.add(f); err != nil {
			return err
		}
		p.item = 0
	}
	return p.expect(json.Delim(']'))
}

func (p *baselineParser) add(f *BaselineFinding) error {
	digits, ok := strings.CutPrefix(f.Fingerprint, fingerprintVersion)
	digest, err := hex.DecodeString(digits)
	switch {
	case !ok || err != nil || len(digest) != fingerprintBytes:
		return fmt.Errorf("fingerprint %q is none of this version", cut(f.Fingerprint))
	case f.Count < 1:
		return fmt.Errorf("count is %d", f.Count)
	case f.Rule == "" || IsAboutExceptions(f.Rule):
		return fmt.Errorf("rule %q cannot be in a baseline", f.Rule)
	case p.baseline.findings[f.Fingerprint] != nil:
		return fmt.Errorf("fingerprint %s is there twice", f.Fingerprint)
	}
	p.baseline.findings[f.Fingerprint], p.baseline.left[f.Fingerprint] = f, f.Count
	return nil
}
