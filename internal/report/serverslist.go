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

// ServerList is the document of `servers list -o json`.
type ServerList struct {
	document.List[Server]
}

// NewServerList returns the document of hosts.
func NewServerList(hosts []servers.Host) ServerList {
	var list []Server
	for _, h := range hosts {
		s := Server{Name: h.Name, Address: h.Address, Port: h.Port, User: h.User, Groups: h.Groups, From: h.Origin.String()}
		for _, j := range h.ProxyJump {
			s.Through = append(s.Through, j.Name)
		}
		if h.Become.On {
			s.Sudo = h.Become.User
		}
		list = append(list, s)
	}
	return ServerList{document.NewList(document.ServerList, list)}
}

// WriteText implements Text.
func (l ServerList) WriteText(w io.Writer, _ bool) error {
	t := text.NewTable(w)
	fmt.Fprintln(t, "NAME\tADDRESS\tPORT\tUSER\tSUDO\tTHROUGH\tGROUPS")
	for _, s := range l.Items {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", s.Name, s.Address, s.Port, s.User, text.OrDash(s.Sudo),
			text.OrDash(strings.Join(s.Through, ", ")), text.OrDash(strings.Join(s.Groups, ", ")))
	}
	return t.Flush()
}
