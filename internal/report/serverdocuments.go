package report

import (
	"time"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/servers"
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

// ServerComparison is the document of `servers compare -o json`.
type ServerComparison struct {
	document.Header
	servers.Comparison
	opts ServersOptions // of the text
}

// ServerWatch is the document of a round of `servers watch -o json`.
type ServerWatch struct {
	document.Header
	At time.Time `json:"at"`
	News
}

// ServerSnapshot is the document of `servers snapshot -o json`.
type ServerSnapshot struct {
	document.Header
	Server  string          `json:"server"`
	File    string          `json:"file"`  // the snapshot
	Facts   int             `json:"facts"` // their number
	Summary servers.Summary `json:"summary"`
}

// ServerUpdate is the document of `servers update -o json` and of
// `servers history RUN -o json`.
type ServerUpdate struct {
	document.Header
	servers.Record
}

// ServerHistory is the document of `servers history -o json`.
type ServerHistory struct {
	document.Header
	Items  []servers.Record       `json:"items"`            // the oldest first
	Broken []servers.BrokenRecord `json:"broken,omitempty"` // records that were edited or removed
}

// ServerPlan is the document of `servers plan -o json`.
type ServerPlan struct {
	document.Header
	Repair    []servers.Repair  `json:"repair"`
	Split     int               `json:"split"`             // differences without a majority
	Replace   *Replacement      `json:"replace,omitempty"` // absent if every server deviates
	Unreached map[string]string `json:"unreached,omitempty"`
	verdict   Verdict
}

// A Replacement is what would run instead of all the servers of a plan.
type Replacement struct {
	Like     string            `json:"like"` // the server that would be captured
	Packages int64             `json:"packagesBytes"`
	Config   int64             `json:"configBytes"`
	Services []servers.Service `json:"services"`
	Data     []servers.Data    `json:"data"`
	Losses   []servers.Loss    `json:"losses"`
}

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

// ServerReplacement is the document of `servers replace -o json`.
type ServerReplacement struct {
	document.Header
	Server    string   `json:"server"`
	Services  []string `json:"services"`  // with their addresses, which answer
	Connected int      `json:"connected"` // connections to the old server's services
	Removable bool     `json:"removable"` // nothing is connected to it
}

// VerdictOf returns the verdict of a comparison of servers.
func VerdictOf(c servers.Comparison) Verdict { return verdictOf(c.Differs(), !c.Complete()) }
