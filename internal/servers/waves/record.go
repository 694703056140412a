package waves

import (
	"slices"
	"time"

	"github.com/adamant-sh/adamant/internal/servers/change"
)

// A Record describes one run: the changes, the results, the reason and the person.
type Record struct {
	ID        string    `json:"id"`
	Number    int       `json:"number,omitempty"` // in the history, from 1
	Previous  string    `json:"previous"`         // digest of the record before it
	Began     time.Time `json:"began"`
	Ended     time.Time `json:"ended,omitzero"`
	By        string    `json:"by"` // user@host
	Reason    string    `json:"reason,omitempty"`
	What      []string  `json:"what"` // each step, see Describe
	Action    Action    `json:"action"`
	Of        string    `json:"of,omitempty"` // the run that is resumed or undone
	Batches   string    `json:"batches,omitempty"`
	Results   []Result  `json:"results"`
	Others    []string  `json:"others,omitempty"`  // servers on which the run that is resumed did not fail
	Stopped   string    `json:"stopped,omitempty"` // why not all were changed
	Statement string    `json:"statement"`         // how consistent the servers are
	// Incomplete is set if something could not be read or compared at the end, which the
	// statement describes.
	Incomplete bool `json:"incomplete,omitempty"`
}

// An Action is the kind of a run.
type Action string

// The actions.
const (
	Update Action = "update"
	Resume Action = "resume"
	Revert Action = "undo"
)

func (r *Record) failures() int {
	n := 0
	for _, res := range r.Results {
		if res.Failed {
			n++
		}
	}
	return n
}

// Continuing returns the results of servers whose changes go on without this run.
func (r *Record) Continuing() (list []Result) {
	for _, res := range r.Results {
		if res.Cause == continues {
			list = append(list, res)
		}
	}
	return list
}

// Unfinished returns the changes, by server, whose end the run does not know.
func (r *Record) Unfinished() map[string]string {
	ids := map[string]string{}
	for _, res := range r.Results {
		if res.Change.ID != "" && res.Outcome == Unreachable {
			ids[res.Server] = res.Change.ID
		}
	}
	return ids
}

// Worst returns the most severe outcome of the servers that did not succeed, empty if
// all did.
func (r *Record) Worst() Outcome {
	for _, o := range []Outcome{HalfChanged, RolledBack, Unreachable, Unchanged, NotBegun} {
		for _, res := range r.Results {
			if res.Outcome == o && !res.Succeeded() {
				return o
			}
		}
	}
	return ""
}

// servers returns all servers of the run, with the indexes of its Group.
func (r *Record) servers() []string {
	var names []string
	for _, res := range r.Results {
		names = append(names, res.Server)
	}
	return append(names, r.Others...)
}

// Succeeded returns the servers on which this run or one that it resumes succeeded.
func (r *Record) Succeeded() []string {
	list := slices.Clone(r.Others)
	for _, res := range r.Results {
		if res.Succeeded() {
			list = append(list, res.Server)
		}
	}
	return list
}

// Reboots returns the reboots that began, by server.
func (r *Record) Reboots() map[string]*Reboot {
	m := map[string]*Reboot{}
	for _, res := range r.Results {
		if res.Reboot != nil {
			m[res.Server] = res.Reboot
		}
	}
	return m
}

// touched reports whether the run changed a fact or a file on any server.
func (r *Record) touched(key string) bool {
	for _, res := range r.Results {
		for _, f := range res.Change.Facts {
			if f.Name() == key {
				return true
			}
		}
		for _, f := range res.Change.Files {
			if f.Path == key {
				return true
			}
		}
	}
	return false
}

// Describe returns the steps of a job in words. Contents and scripts are left out,
// because they may hold secrets.
func Describe(j change.Job) []string {
	var list []string
	for _, p := range j.Packages {
		list = append(list, "package "+p.String())
	}
	for _, c := range j.Copies {
		list = append(list, "copy to "+c.Path)
	}
	if j.Run != "" {
		list = append(list, "run "+j.Run)
	}
	if len(j.Script) > 0 {
		list = append(list, "run a script")
	}
	switch j.Reboot {
	case change.RebootAlways:
		list = append(list, "reboot")
	case change.RebootIfNeeded:
		list = append(list, "reboot if needed")
	}
	return list
}

// changeOn returns the id of the change on a server, empty if nothing began there.
func (r *Record) changeOn(server string) string {
	for _, res := range r.Results {
		if res.Server == server {
			return res.Change.ID
		}
	}
	return ""
}
