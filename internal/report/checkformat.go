package report

import (
	"github.com/adamant-sh/adamant/internal/manifest"
	"github.com/adamant-sh/adamant/internal/policy"
	"github.com/adamant-sh/adamant/internal/text"
)

// findingText returns what a finding is about, on one line of bounded length.
func findingText(f policy.Finding) string {
	if f.Container == "" {
		return text.Excerpt(f.Message, maxMessage)
	}
	return text.Excerpt("container "+f.Container+": "+f.Message, maxMessage)
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
