package servers

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"time"

	"github.com/adamant-sh/adamant/internal/servers/change"
	"github.com/adamant-sh/adamant/internal/servers/connect"
	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/internal/servers/waves"
)

// The types of updates.
type (
	Undo          = change.Undo
	Action        = waves.Action
	Outcome       = waves.Outcome
	Result        = waves.Result
	Record        = waves.Record
	History       = waves.History
	BrokenRecord  = waves.ChainError
	UpdateOptions = waves.Options
)

// The actions and outcomes of updates.
const (
	ActionUpdate = waves.Update
	ActionResume = waves.Resume
	ActionUndo   = waves.Revert

	Unchanged   = waves.Unchanged
	HalfChanged = waves.HalfChanged
	RolledBack  = waves.RolledBack
	Unreachable = waves.Unreachable
	NotBegun    = waves.NotBegun
)

// UpdateSpec is the options of an update as a user writes them.
type UpdateSpec struct {
	Batch       string // sizes of the waves, such as 1,25%,100%
	MaxFailures string // a number of servers or a percentage
	OnFailure   string // keep or undo
}

// Parse returns the options. An error for a field is a *FieldError.
func (s UpdateSpec) Parse() (UpdateOptions, error) {
	o := UpdateOptions{Revert: s.OnFailure == "undo"}
	if s.OnFailure != "keep" && s.OnFailure != "undo" {
		return o, &FieldError{"on-failure", fmt.Errorf("%q: want keep or undo", s.OnFailure)}
	}
	var err error
	if o.Batches, err = waves.ParseBatches(s.Batch); err != nil {
		return o, &FieldError{"batch", err}
	}
	if o.MaxFailures, err = waves.ParseShare(s.MaxFailures); err != nil {
		return o, &FieldError{"max-failures", err}
	}
	return o, nil
}

// DefaultRecordsDir returns the directory of this user's records.
func DefaultRecordsDir() (string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the home directory: %w", err)
	}
	return filepath.Join(home, ".local", "state", "adamant", "servers"), nil
}

// CurrentUser returns user@host, for records. The user is the one who called sudo, if
// any.
func CurrentUser() string {
	name := os.Getenv("SUDO_USER")
	if u, err := user.Current(); err == nil && name == "" {
		name = u.Username
	}
	host, _ := os.Hostname() // the record only lacks a name without it
	return name + "@" + host
}

// OpenHistory opens the directory of the records of updates and creates it if needed.
func OpenHistory(dir string) (*History, error) { return waves.OpenHistory(dir) }

// An Update is one run that changes servers.
type Update struct {
	Action  Action
	Before  Record // the run that is resumed or undone
	Job     Job    // not needed to undo
	Batches string // for the record
	Reason  string // for the record
	By      string // user@host, for the record
	Options UpdateOptions
	// Others are servers that the run compares with those that it changes.
	Others []Host
}

// Targets returns the servers to change if none are named: to resume a run those that
// failed, to undo it those that it changed.
func (u *Update) Targets() []string {
	var names []string
	for _, res := range u.Before.Results {
		if u.Action == ActionResume && !res.Succeeded() || u.Action == ActionUndo && res.CanUndo() {
			names = append(names, res.Server)
		}
	}
	return names
}

// Select returns the servers that match patterns, or the Targets if there are none. A
// refused server is an error: a change is made on all servers that were meant, or on none.
// To resume a run, it sets Others to the servers on which the run succeeded. note is the
// error if the inventory no longer has them; the run can do without.
func (u *Update) Select(inv Inventory, patterns []string) (s Selection, note error, err error) {
	if len(patterns) > 0 {
		s, err = inv.Select(patterns)
	} else {
		s, err = inv.Named(u.Targets())
	}
	if err == nil {
		err = s.Err()
	}
	if err != nil {
		return s, nil, err
	}
	isNamed := func(name string) bool {
		return slices.ContainsFunc(s.Hosts, func(h Host) bool { return h.Name == name })
	}
	u.Others = nil
	if rest := slices.DeleteFunc(u.Before.Succeeded(), isNamed); u.Action == ActionResume && len(rest) > 0 {
		var others Selection
		if others, note = inv.Named(rest); note == nil {
			u.Others, note = others.Hosts, others.Err()
		}
	}
	return s, note, nil
}

// Update changes the servers of the group wave by wave and keeps a record. It returns
// an error if the run could not go on; failures of servers are results.
func (g *Group) Update(ctx context.Context, records *History, u Update) (Record, error) {
	r := &Record{
		ID: newRunID(), Began: time.Now(), By: u.By, Reason: u.Reason, Action: u.Action, Of: u.Before.ID, Batches: u.Batches,
	}
	job := u.Job
	job.ID = r.ID
	r.What = waves.Describe(job)
	for _, h := range g.Hosts {
		r.Results = append(r.Results, waves.Result{Server: h.Name})
	}
	for _, h := range u.Others {
		r.Others = append(r.Others, h.Name)
	}
	entry, err := records.Begin(r, job)
	if err != nil {
		return *r, err
	}
	if u.Action == ActionResume {
		u.Options.Earlier = u.Before.Unfinished()
	}
	u.Options.Reboots = u.Before.Reboots()
	targets := updateTargets{g, slices.Concat(g.Hosts, u.Others)}
	if u.Action == ActionUndo {
		err = waves.Undo(ctx, targets, u.Before, u.Options, r, entry.Save)
	} else {
		err = waves.Run(ctx, targets, job, u.Options, r, entry.Save)
	}
	if err != nil && r.Stopped == "" {
		r.Stopped = err.Error()
	}
	return *r, errors.Join(err, entry.End())
}

func newRunID() string {
	b := make([]byte, 3)
	rand.Read(b)
	return time.Now().UTC().Format("20060102-150405-") + hex.EncodeToString(b)
}

// updateTargets implements waves.Group. Its indexes are those of the record: the
// servers to change, then the others.
type updateTargets struct {
	group *Group
	hosts []Host
}

func (t updateTargets) Change(ctx context.Context, i int, job change.Job) (change.State, error) {
	return connect.Change(ctx, t.hosts[i], t.group.Options.Options, job, nil)
}

func (t updateTargets) Follow(ctx context.Context, i int, id string) (change.State, error) {
	return connect.Follow(ctx, t.hosts[i], t.group.Options.Options, id)
}

func (t updateTargets) Revert(ctx context.Context, i int, id, why string) (change.State, error) {
	return connect.Revert(ctx, t.hosts[i], t.group.Options.Options, id, why)
}

func (t updateTargets) Boot(ctx context.Context, i int, reboot string) (change.Boot, error) {
	return connect.Boot(ctx, t.hosts[i], t.group.Options.Options, reboot)
}

func (t updateTargets) Compare(ctx context.Context, which []int) (waves.Inspection, error) {
	var hosts []Host
	for _, i := range which {
		hosts = append(hosts, t.hosts[i])
	}
	look := waves.Inspection{Packages: map[string]map[string][]facts.InstalledPackage{}}
	var err error
	look.Comparison, err = t.group.compare(ctx, hosts, nil, func(p *facts.Peer) {
		look.Packages[p.Name] = p.Packages()
	})
	return look, err
}
