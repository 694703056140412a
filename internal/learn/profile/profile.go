// Package profile derives the smallest set of volumes with which a container's
// root file system can be read-only from its observed writes. It is pure.
package profile

import (
	"fmt"
	"strconv"

	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// Need is the effect on a workload of leaving out a volume.
type Need string

// The effects of leaving out one volume.
const (
	Hard   Need = "hard"   // it dies or its load fails
	Soft   Need = "soft"   // it works, and complains or works less well
	Silent Need = "silent" // healthy, but something it wrote is lost
)

// A Profile holds the writes of a workload and the volumes that follow from them,
// one section for each container and its image digest. It is written as YAML.
type Profile struct {
	APIVersion string      `json:"apiVersion"`         // "adamant.sh/v1"
	Kind       string      `json:"kind"`               // "Profile"
	Name       string      `json:"name"`               // of the workload: "Deployment/web"
	Scope      string      `json:"scope,omitempty"`    // "image" if it was learned from an image alone and fits any workload of it; otherwise it fits the workload Name
	Verdict    Verdict     `json:"verdict,omitempty"`  // of the last proof: "proven", "weak" or "unproven"; unknown if empty
	Reasons    []string    `json:"reasons,omitempty"`  // why the last proof failed
	Weak       []string    `json:"weak,omitempty"`     // what the last run and its proof did not see
	Load       []string    `json:"load,omitempty"`     // of all runs: requests and commands
	Duration   string      `json:"duration,omitempty"` // of the writable runs together, such as "1m30s"
	Runs       int         `json:"runs"`               // writable runs that were added up
	Containers []Container `json:"containers"`

	File string `json:"-"` // that the profile was read from, for errors
}

// A Container is the profile of one container of the workload.
type Container struct {
	Name    string   `json:"name"`
	Image   string   `json:"image"`             // reference as in the manifest
	Digest  string   `json:"digest,omitempty"`  // "sha256:…" of the image's manifest
	Command []string `json:"command,omitempty"` // as in the manifest; known if the profile has a verdict
	Args    []string `json:"args,omitempty"`    // as in the manifest
	Method  string   `json:"method"`            // "ptrace", or "upperdir" which is weaker

	User      *UserGroup `json:"user,omitempty"`      // whom its first process runs as
	CopyTools *bool      `json:"copyTools,omitempty"` // whether the image has sh, cp and the like, with which an init container of it can fill volumes

	Mounts []Mounted `json:"mounts,omitzero"` // writable volumes of the manifest that it had; unknown if absent

	Weak    []string `json:"weak,omitempty"`    // why something may be missing
	Writes  []Write  `json:"writes"`            // sorted by path
	Volumes []Volume `json:"volumes"`           // sorted by mount path
	Refused []Write  `json:"refused,omitempty"` // what failed on a writable root too: no reason for a volume

	Spared   []Write   `json:"spared,omitempty"`   // what a program does without: caches, and checks whether code is writable: no reason for a volume
	Unsolved []Write   `json:"unsolved,omitempty"` // what no volume can allow, with the reason
	Evidence []Failure `json:"evidence,omitempty"` // calls that failed in earlier proofs; the volumes follow from them, too
	Exact    bool      `json:"exact,omitempty"`    // every volume carries its directory's own mode, even where a laxer one usually does
}

// A Write is one path that was written. In a path below the image's
// directories, "*" stands for parts that vary from run to run: process numbers
// and temporary names.
type Write struct {
	Path   string           `json:"path"`
	Ops    map[trace.Op]int `json:"ops"`            // calls by operation
	By     []string         `json:"by"`             // programs
	Seen   int              `json:"seen,omitempty"` // writable runs in which it was written; 0 if it was only tried in a proof, or if unknown
	Bytes  int64            `json:"bytes,omitempty"`
	Errors []string         `json:"errors,omitempty"` // errno names, for Refused

	Peers  []string `json:"peers,omitempty"`  // the other ends of its renames and hard links: they need the same volume
	UIDs   []uint32 `json:"uids,omitempty"`   // who wrote, where not only root did
	Made   *Owner   `json:"made,omitempty"`   // of a directory that the image does not have: as it was after the run
	Reason string   `json:"reason,omitempty"` // for Unsolved
}

// Owner is the mode, user and group of a directory.
type Owner struct {
	Mode Mode   `json:"mode"`
	UID  uint32 `json:"uid"`
	GID  uint32 `json:"gid"`
}

// A Mode has the permission bits of a file. In a profile it is a number, which YAML
// writes in octal (0750), or the same in quotes.
type Mode uint32

// UnmarshalJSON parses a number, or a string with an octal one.
func (m *Mode) UnmarshalJSON(data []byte) error {
	text, base := string(data), 10
	if quoted, err := strconv.Unquote(text); err == nil {
		text, base = quoted, 8
	}
	n, err := strconv.ParseUint(text, base, 32)
	if err != nil {
		return fmt.Errorf("mode: %s is no octal number such as 0750", data)
	}
	*m = Mode(n)
	return nil
}

// UserGroup is the user and the group of a process.
type UserGroup struct {
	UID uint32 `json:"uid"`
	GID uint32 `json:"gid"`
}

// A Volume is one emptyDir that the container needs.
type Volume struct {
	MountPath string `json:"mountPath"`           // canonical: /run, not /var/run
	SubPath   string `json:"subPath,omitempty"`   // set where the program changes the mode or owner of its directory itself
	CopyUp    bool   `json:"copyUp,omitempty"`    // the volume must be prepared before the start: content of the image, or Mode, UID and GID
	Medium    string `json:"medium,omitempty"`    // "" or "Memory"
	SizeLimit string `json:"sizeLimit,omitempty"` // Kubernetes quantity; a person's choice, as is Medium
	Mode      Mode   `json:"mode,omitempty"`      // of the directory in the image, 0 if as a kubelet makes it (0777)
	UID       uint32 `json:"uid,omitempty"`
	GID       uint32 `json:"gid,omitempty"`
	// KeepOwners is set if the content must keep owners other than the container's
	// user, which only root can give.
	KeepOwners bool `json:"keepOwners,omitempty"`

	File    bool     `json:"file,omitempty"`    // a single file is mounted, not a directory; SubPath is its name in the volume
	Need    Need     `json:"need,omitempty"`    // set by leaving it out
	Used    int64    `json:"used,omitempty"`    // bytes that it had at most while the workload ran sealed
	Durable string   `json:"durable,omitempty"` // why its data should outlive the pod
	Why     []string `json:"why,omitempty"`     // the writes it is for, the first few
	Exposes string   `json:"exposes,omitempty"` // the code or configuration of the image that becomes writable with it
	Files   []string `json:"files,omitempty"`   // of Exposes: files that could be mounted instead if the program writes them in place, the first few

	Claim *Claim `json:"-"` // mounted in place of an emptyDir
}

// A Claim is a PersistentVolumeClaim.
type Claim struct {
	Name string
	Size string // quantity to request for a new one; empty if it exists
}
