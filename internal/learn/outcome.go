package learn

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/adamant-sh/adamant/internal/text"
)

// An Outcome is the answer to one piece of load. Two runs of a workload behave
// alike if their outcomes are equal.
type Outcome struct {
	Load   string `json:"load"`   // "GET /", "POST / (1 MiB)" or the command
	Result string `json:"result"` // "200", "exit 0", or the error
	OK     bool   `json:"ok"`     // the load passed
	Class  string `json:"-"`      // of the result, as far as it is the same in every run
	Free   bool   `json:"-"`      // it need not be OK, because it was detected and not requested, but must be equal in every run
	Output string `json:"output,omitempty"`

	piece piece
	took  time.Duration
	final bool // trying again cannot help

	prints []printed // of a command: what it printed, each time that it ran

	requests []recordedRequest // of a replay
	answers  []int             // class of the status of each request, 0 without an answer
	unsteady map[int]bool      // requests whose answers differ between rounds
}

// maxPrints is the number of rounds whose output is kept to be compared.
const maxPrints = 32

// refused is the class of answers to a body that the server does not accept.
const refused = "refused"

// add adds an earlier round of the same piece of load to o.
func (o *Outcome) add(earlier Outcome) {
	o.prints = append(slices.Clone(earlier.prints), o.prints...)
	o.prints = o.prints[:min(len(o.prints), maxPrints)]
	if len(earlier.answers) != len(o.answers) {
		return
	}
	o.unsteady = earlier.unsteady
	for i, class := range earlier.answers {
		if class != o.answers[i] {
			if o.unsteady == nil {
				o.unsteady = map[int]bool{}
			}
			o.unsteady[i] = true
		}
	}
}

// isAsGood reports whether a sealed run answered a piece of load as the writable
// run did.
func (o Outcome) isAsGood(writable Outcome) bool {
	_, _, alike := o.against(writable)
	return alike
}

// against compares a piece of load in a sealed run with that in the writable run.
// It returns the two results as far as they explain the difference.
//
// If a server closes the connection while a body is sent, it is chance whether the
// client sees the answer or the end of the connection first, so any answer that
// passes is accepted then.
func (o Outcome) against(writable Outcome) (sealed, was string, alike bool) {
	switch {
	case o.OK && writable.OK && writable.Class == refused:
		return o.Result, writable.Result, true
	case o.OK != writable.OK || o.Class != writable.Class:
		return o.Result, writable.Result, false
	}
	if i := o.firstOtherAnswer(writable); i >= 0 {
		return o.answer(i), writable.answer(i), false
	}
	if now, before := otherOutput(o.prints, writable.prints); now != "" {
		return o.Result + ", " + now, writable.Result + ", " + before, false
	}
	return o.Result, writable.Result, true
}

// firstOtherAnswer returns the index of the first request of a replay that got an
// answer of another class, or -1.
func (o Outcome) firstOtherAnswer(writable Outcome) int {
	for i := range min(len(o.answers), len(writable.answers)) {
		if o.requests[i].isCompared() && o.answers[i] != writable.answers[i] && !o.unsteady[i] && !writable.unsteady[i] {
			return i
		}
	}
	return -1
}

// answer returns a request of a replay with its answer.
func (o Outcome) answer(i int) string {
	name := text.Cut(o.requests[i].String(), 60)
	if o.answers[i] == 0 {
		return name + ": no answer"
	}
	return fmt.Sprintf("%s: %dxx", name, o.answers[i])
}

// A printed is the output of a command, in a form that can be compared.
type printed struct {
	lines      []string          // without what varies from run to run, sorted
	complaints map[string]string // by their kind: the first line of the kind, as it was printed
	cut        bool              // the beginning is missing
}

// otherOutput compares what a command printed when sealed with what it printed
// when writable, and returns both if the difference is evidence that something
// failed. Otherwise it returns "".
//
// A kind of complaint that the command never printed on a writable root is
// evidence; if it ran several times when sealed, then only if it complained twice,
// because a single complaint may be chance. Any other difference is evidence only
// if the command printed the same each time that it ran on a writable root, at
// least twice, and each time that it ran sealed.
func otherOutput(sealed, writable []printed) (now, before string) {
	if len(sealed) == 0 || len(writable) == 0 {
		return "", ""
	}
	usual := map[string]bool{}
	for _, p := range writable {
		for kind := range p.complaints {
			usual[kind] = true
		}
	}
	for _, kind := range complaintKinds {
		seen, example := 0, ""
		for _, p := range sealed {
			if line, ok := p.complaints[kind.name]; ok && !usual[kind.name] {
				seen, example = seen+1, line
			}
		}
		if seen >= min(len(sealed), 2) {
			return fmt.Sprintf("prints %q", text.Cut(example, 100)), "prints no such line"
		}
	}
	if len(writable) < 2 || !steady(writable) || !steady(sealed) || slices.Equal(sealed[0].lines, writable[0].lines) {
		return "", ""
	}
	return "prints " + firstOther(sealed[0].lines, writable[0].lines), "prints " + firstOther(writable[0].lines, sealed[0].lines)
}

// firstOther returns the first line that only a has.
func firstOther(a, b []string) string {
	for _, line := range a {
		if !slices.Contains(b, line) {
			return fmt.Sprintf("%q", text.Cut(line, 60))
		}
	}
	return "less"
}

// steady reports whether a command printed the same each time, and all of it is
// known.
func steady(all []printed) bool {
	return !slices.ContainsFunc(all, func(p printed) bool { return p.cut || !slices.Equal(p.lines, all[0].lines) })
}

// complaintKinds are the kinds of complaints in the output of programs.
var complaintKinds = []struct {
	name string
	form *regexp.Regexp
}{
	{"read-only", regexp.MustCompile(`(?i)\bread-?only( file ?system)?\b|\bEROFS\b`)},
	{"no space", regexp.MustCompile(`(?i)\bno space\b|\bENOSPC\b|\bdisk (is )?full\b|\bquota exceeded\b`)},
	{"denied", regexp.MustCompile(`(?i)\bdenied\b|\bnot permitted\b|\bforbidden\b`)},
	{"missing", regexp.MustCompile(`(?i)\bno such file\b|\bnot found\b|\bdoes not exist\b`)},
	{"failed", regexp.MustCompile(`(?i)\bfail(s|ed|ure|ures|ing)?\b`)},
	{"cannot", regexp.MustCompile(`(?i)\bcan ?not\b|\bcan't\b|\bcould not\b|\bcouldn't\b|\bunable to\b`)},
	{"error", regexp.MustCompile(`(?i)\berr(or|ors|no)?\b|\bexception\b|\btraceback\b|\bfatal\b|\bpanic\b|\bMISCONF\b|[a-z](Error|Exception)\b`)},
	{"refused", regexp.MustCompile(`(?i)\bconnection (was )?(refused|reset)\b|\btimed? ?out\b`)},
}

// noComplaint is a mention of a complaint that there is none: "0 errors",
// "failed: 0", "without errors".
var noComplaint = regexp.MustCompile(`(?i)\b(0|no|none|zero|without|any)( \w+)? (err(or)?s?|fail(ed|ures?)|exceptions?)\b|\b(err(or)?s?|fail(ed|ures?)|exceptions?)"? ?[:=] ?"?(0\b|none\b|null\b|nil\b|false\b|$)`)

// What varies from run to run in the output of programs.
var (
	escapes    = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)
	dayOrMonth = regexp.MustCompile(`\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\b`)
	hexNumber  = regexp.MustCompile(`\b(0x)?[0-9a-fA-F]*[0-9][0-9a-fA-F]*[a-fA-F][0-9a-fA-F]*\b|\b[0-9a-fA-F]{8,}\b`)
	measure    = regexp.MustCompile(`[0-9]+(?:[.,:/-][0-9]+)*(?:[.,:/-][0-9]+| ?(?:%|[mµun]?s(?:ec(?:onds?)?)?|min(?:utes?)?|h(?:ours?)?|[kKMGT]?i?B(?:/s)?|bytes?)\b)`)
	number     = regexp.MustCompile(`[0-9]+`)
)

// print returns the output of a command in a form that can be compared. cut is set
// if its beginning is missing. names vary from run to run, too.
func printOf(output string, cut bool, names ...string) printed {
	p := printed{complaints: map[string]string{}, cut: cut}
	for _, name := range names {
		if name != "" {
			output = strings.ReplaceAll(output, name, "NAME")
		}
	}
	output = escapes.ReplaceAllString(output, "")
	lines := strings.FieldsFunc(output, func(r rune) bool { return r == '\n' || r == '\r' })
	if cut && len(lines) > 0 {
		lines = lines[1:] // it may begin in the middle
	}
	for _, line := range lines {
		if line = strings.Join(strings.Fields(line), " "); line == "" {
			continue
		}
		claim := noComplaint.ReplaceAllString(line, "")
		for _, kind := range complaintKinds {
			if _, ok := p.complaints[kind.name]; !ok && kind.form.MatchString(claim) {
				p.complaints[kind.name] = line
			}
		}
		p.lines = append(p.lines, withoutNumbers(line))
	}
	slices.Sort(p.lines)
	p.lines = slices.Compact(p.lines)
	return p
}

// withoutNumbers replaces what varies from run to run: times, durations, sizes,
// addresses, process numbers. Zero differs from other whole numbers, because a
// program may print how it ended, or how much failed.
func withoutNumbers(line string) string {
	line = dayOrMonth.ReplaceAllString(line, "DAY")
	line = measure.ReplaceAllString(line, "N")
	line = hexNumber.ReplaceAllString(line, "N")
	return number.ReplaceAllStringFunc(line, func(n string) string {
		if strings.Trim(n, "0") == "" {
			return "0"
		}
		return "N"
	})
}
