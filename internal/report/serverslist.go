package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/servers"
	"github.com/adamant-sh/adamant/internal/text"
)

// A Server is an item of the list of `servers list -o json`.
type Server struct {
	Name    string   `json:"name"`
	Address string   `json:"address"`
	Port    int      `json:"port"`
	User    string   `json:"user"`
	Sudo    string   `json:"sudo,omitempty"`    // the user that commands run as
	Through []string `json:"through,omitempty"` // the servers that the connection passes
	Groups  []string `json:"groups,omitempty"`
	From    string   `json:"from"` // file and line, or the argument, that names it
}

// A RefusedServer is a server that was selected and cannot be used, or a part of an
// inventory that could not be read and may hold more servers.
type RefusedServer struct {
	Name   string   `json:"name,omitempty"` // none for a part of an inventory
	Groups []string `json:"groups,omitempty"`
	From   string   `json:"from"` // file and line of the reason
	Reason string   `json:"reason"`
	Hint   string   `json:"hint,omitempty"`
}

// ServerList is the document of `servers list -o json`.
type ServerList struct {
	document.List[Server]
	Refused []RefusedServer `json:"refused,omitempty"`
}

// NewServerList returns the document of a selection.
func NewServerList(selected servers.Selection) ServerList {
	var list []Server
	for _, h := range selected.Hosts {
		s := Server{Name: h.Name, Address: h.Address, Port: h.Port, User: h.User, Groups: h.Groups, From: h.Origin.String()}
		for _, j := range h.ProxyJump {
			s.Through = append(s.Through, j.Name)
		}
		if h.Become.On {
			s.Sudo = h.Become.User
		}
		list = append(list, s)
	}
	l := ServerList{List: document.NewList(document.ServerList, list)}
	for _, r := range selected.Refused {
		l.Refused = append(l.Refused, RefusedServer{r.Host, r.Groups, r.Err.Origin.String(), r.Err.What, r.Err.Hint})
	}
	return l
}

// Verdict is Incomplete if something was refused.
func (l ServerList) Verdict() Verdict { return verdictOf(false, len(l.Refused) > 0) }

// WriteText implements Text.
func (l ServerList) WriteText(w io.Writer, _ bool) error {
	t := text.NewTable(w)
	fmt.Fprintln(t, "NAME\tADDRESS\tPORT\tUSER\tSUDO\tTHROUGH\tGROUPS")
	for _, s := range l.Items {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", s.Name, s.Address, s.Port, s.User, text.OrDash(s.Sudo),
			text.OrDash(strings.Join(s.Through, ", ")), text.OrDash(strings.Join(s.Groups, ", ")))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	out := newLineWriter(w)
	for _, r := range l.Refused {
		out.printf("REFUSED %s", oneLine(r.String()))
	}
	return out.Flush()
}

// String returns "name: file:line: reason (hint)".
func (r RefusedServer) String() string {
	parts := []string{r.From, r.Reason}
	if r.Name != "" {
		parts = append([]string{r.Name}, parts...)
	}
	line := strings.Join(parts, ": ")
	if r.Hint != "" {
		line += " (" + r.Hint + ")"
	}
	return line
}
