package capture

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/servers/boundedjson"
)

// PlanVersion is the version of the Plan's JSON document.
const PlanVersion = 1

// A Plan describes how a server is captured. Each path of the server is in exactly
// one place: in a layer, in a data directory, among the secrets, or left out.
type Plan struct {
	Version      int     `json:"version"`
	Release      string  `json:"release"`      // "Debian GNU/Linux 12 (bookworm)"
	Architecture string  `json:"architecture"` // as Go names it
	Packages     Layer   `json:"packages"`     // as the packages have it, and what their scripts made
	Config       Layer   `json:"config"`       // what no package has, or what was edited
	Edited       []Owned `json:"edited"`       // files in Config that a package has otherwise

	Data     []Data    `json:"data"`
	Secrets  []Secret  `json:"secrets"`
	Services []Service `json:"services"`
	Links    []Link    `json:"links,omitempty"`
	LeftOut  []LeftOut `json:"leftOut"`
	Skipped  []Skipped `json:"skipped"` // units that make no sense in a container, by class
	Losses   []Loss    `json:"losses"`
}

// The names of the layers, the lower first.
const (
	PackagesLayer = "packages"
	ConfigLayer   = "config"
)

// A Layer is the files of one layer of the image.
type Layer struct {
	Files Listing `json:"files"`
	Bytes int64   `json:"bytes"` // of all regular files
	// Made are directories that systemd creates at each start and that are not
	// on the disk. The layer has them in addition to Files.
	Made Listing `json:"made"`
}

// layer returns the layer called name.
func (p *Plan) layer(name string) (Layer, error) {
	switch name {
	case PackagesLayer:
		return p.Packages, nil
	case ConfigLayer:
		return p.Config, nil
	}
	return Layer{}, fmt.Errorf("no layer %q: there are %s and %s", name, PackagesLayer, ConfigLayer)
}

// A Listing is a tree whose JSON is a string: the tree's own encoding.
type Listing struct{ tree.Tree }

// MarshalText returns the canonical encoding.
func (l Listing) MarshalText() ([]byte, error) {
	var b bytes.Buffer
	_, err := l.WriteTo(&b)
	return b.Bytes(), err
}

// UnmarshalText accepts the canonical encoding only.
func (l *Listing) UnmarshalText(text []byte) (err error) {
	l.Tree, err = tree.Parse(bytes.NewReader(text))
	return err
}

// Owned is a file and the package that contains it.
type Owned struct {
	Path    string `json:"path"`
	Package string `json:"package"`
}

// Data is a directory whose content is not part of the image. The directory itself
// is in a layer, so that a volume can be mounted over it.
type Data struct {
	Path    string `json:"path"`
	Why     string `json:"why"`
	Entries int    `json:"entries"` // below it
	Bytes   int64  `json:"bytes"`
}

// A Secret is a file that must not be in an image. A plan does not hold its
// content.
type Secret struct {
	Path string `json:"path"`
	Why  string `json:"why"`
	Mode uint32 `json:"mode"`
	Size int64  `json:"size"`
}

// A Service is a unit that becomes a container of a Deployment.
type Service struct {
	Name       string     `json:"name"`          // a DNS label
	Pod        string     `json:"pod,omitempty"` // name of the Deployment; Name without one
	Unit       string     `json:"unit"`
	Package    string     `json:"package,omitempty"`
	Command    []string   `json:"command"` // in the foreground
	User       string     `json:"user,omitempty"`
	UID        uint32     `json:"uid"`
	GID        uint32     `json:"gid"`
	Groups     []uint32   `json:"groups,omitempty"`
	WorkingDir string     `json:"workingDir,omitempty"`
	Env        []Variable `json:"env,omitempty"`
	Ports      []Port     `json:"ports,omitempty"`
	Data       []string   `json:"data,omitempty"`    // paths of Plan.Data that it uses
	Secrets    []string   `json:"secrets,omitempty"` // paths of Plan.Secrets that it reads
	Sockets    []string   `json:"sockets,omitempty"` // directories with sockets that it shares with other services of its pod
	StopSignal string     `json:"stopSignal,omitempty"`
}

// A Variable is an environment variable. Instead of the value of a secret it has
// the File that sets it.
type Variable struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
	File  string `json:"file,omitempty"`
}

// A Port is a port that a service listens on.
type Port struct {
	Protocol string `json:"protocol"` // "tcp" or "udp"
	Number   uint16 `json:"number"`
	Local    bool   `json:"local,omitempty"` // on a loopback address only
}

// A Link is one service that connects to another over a loopback address or a unix
// socket, which both have only within one pod.
type Link struct {
	From string `json:"from"` // names of services
	To   string `json:"to"`
	Over string `json:"over"` // "127.0.0.1:8000", or the path of a socket
	Why  string `json:"why"`  // "a connection is open", or the file that names it
}

// LeftOut is the list of paths that are in no layer for one reason.
type LeftOut struct {
	Class   Class    `json:"class"`
	Paths   []string `json:"paths"` // each with all below it
	Entries int      `json:"entries"`
	Bytes   int64    `json:"bytes"`
}

// Skipped is a class of units that are not captured.
type Skipped struct {
	Class string   `json:"class"`
	Units []string `json:"units"`
}

// A Loss is something that the server has, but the workload does not, or not in
// the same way.
type Loss struct {
	What string `json:"what"`
	Why  string `json:"why"`
	Hint string `json:"hint,omitempty"`
	// Unread is set if it could not be read, so that more may be lost than is
	// known.
	Unread bool `json:"unread,omitempty"`
}

// MaxPlan bounds the text of a plan, in bytes. The plan of a million files is
// smaller.
const MaxPlan = 256 << 20

// ParsePlan reads the plan of a server, which may be hostile.
func ParsePlan(text []byte) (Plan, error) {
	var p Plan
	if err := boundedjson.UnmarshalLarge(text, &p, MaxPlan); err != nil {
		return Plan{}, err
	}
	return p, nil
}

// Complete reports whether the survey could read everything.
func (p *Plan) Complete() bool {
	return !slices.ContainsFunc(p.Losses, func(l Loss) bool { return l.Unread })
}
