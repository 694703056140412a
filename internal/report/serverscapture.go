package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/servers"
	"github.com/adamant-sh/adamant/internal/text"
)

// ServerCapture is the document of `servers capture -o json`.
type ServerCapture struct {
	document.Header
	Server     string               `json:"server"`
	Dir        string               `json:"dir"`
	Image      string               `json:"image"`
	Digest     string               `json:"digest"`
	Services   []servers.Service    `json:"services"`
	Data       []servers.Data       `json:"data"`
	Secrets    []servers.SecretFile `json:"secrets"`
	Losses     []servers.Loss       `json:"losses"`
	Incomplete []string             `json:"incomplete,omitempty"` // what could not be read
	plan       servers.CapturePlan  // the text has more of it
}

// NewServerCapture returns the document of a server that was captured.
func NewServerCapture(c servers.Captured) ServerCapture {
	p := c.Plan
	return ServerCapture{
		Header: document.NewHeader(document.ServerCapture), Server: c.Server, Dir: c.Dir, Image: c.Image, Digest: c.Digest,
		Services: p.Services, Data: p.Data, Secrets: p.Secrets, Losses: p.Losses, Incomplete: c.Incomplete, plan: p,
	}
}

// Verdict returns Incomplete if something could not be read.
func (c ServerCapture) Verdict() Verdict {
	return verdictOf(false, len(c.Incomplete) > 0 || !c.plan.Complete())
}

// WriteText implements Text.
func (c ServerCapture) WriteText(w io.Writer, _ bool) error {
	l, p := newLineWriter(w), c.plan
	l.printf("%s, %s, is %s (%.19s…)", c.Server, p.Release, c.Image, c.Digest)
	l.printf("  layer packages: %d files, %s", p.Packages.Files.Len(), text.Bytes(p.Packages.Bytes))
	l.printf("  layer config: %d files, %s; %d of them are edited files of packages", p.Config.Files.Len(), text.Bytes(p.Config.Bytes), len(p.Edited))
	for _, s := range c.Services {
		l.printf("  service %s: %s%s", s.Name, strings.Join(s.Command, " "), ports(s))
	}
	for _, k := range p.Links {
		l.printf("  one pod for %s and %s: %s connects to %s (%s)", k.From, k.To, k.From, k.Over, k.Why)
	}
	for _, d := range c.Data {
		l.printf("  data %s: %d files, %s (%s)", d.Path, d.Entries, text.Bytes(d.Bytes), d.Why)
	}
	for _, s := range c.Secrets {
		l.printf("  secret %s (%s)", s.Path, s.Why)
	}
	if len(c.Losses) > 0 {
		l.printf("not captured:")
	}
	for _, loss := range c.Losses {
		l.printf("  - %s", lossText(loss))
	}
	for _, reason := range c.Incomplete {
		l.printf("INCOMPLETE %s", reason)
	}
	return l.Flush()
}

// CaptureProgress returns a line with the size of a plan, to be shown while the
// server is being captured.
func CaptureProgress(p servers.CapturePlan) string {
	return fmt.Sprintf("packages: %d files, %s; configuration: %d files, %s", p.Packages.Files.Len(), text.Bytes(p.Packages.Bytes),
		p.Config.Files.Len(), text.Bytes(p.Config.Bytes))
}

func lossText(l servers.Loss) string {
	s := l.What + ": " + l.Why
	if l.Hint != "" {
		s += " (" + l.Hint + ")"
	}
	if l.Unread {
		s = "INCOMPLETE " + s
	}
	return s
}
