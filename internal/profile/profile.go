// Package profile turns what a container was seen to write into the smallest
// set of volumes with which its root file system can be read-only. It is pure.
package profile

import "github.com/adamant-sh/adamant/internal/observe"

// Need says what happens to a workload without a volume.
type Need string

// The needs that leaving one volume out tells apart.
const (
	Hard   Need = "hard"   // it dies or its load fails
	Soft   Need = "soft"   // it works, and complains or works less well
	Silent Need = "silent" // healthy, but something it wrote is lost
)

// A Profile is what a workload writes and the volumes that follow, one section
// a container, each for one image digest. It is written as YAML.
type Profile struct {
	APIVersion string      `json:"apiVersion"` // "adamant.sh/v1"
	Kind       string      `json:"kind"`       // "Profile"
	Name       string      `json:"name"`       // of the workload or image
	Runs       int         `json:"runs"`       // writable runs that were added up
	Containers []Container `json:"containers"`
}

// A Container is the profile of one container of the workload.
type Container struct {
	Name    string   `json:"name"`
	Image   string   `json:"image"`             // reference as in the manifest
	Digest  string   `json:"digest,omitempty"`  // "sha256:…" of the image's manifest
	Method  string   `json:"method"`            // "ptrace", or "upperdir" which is weaker
	Weak    []string `json:"weak,omitempty"`    // why something may be missing
	Writes  []Write  `json:"writes"`            // sorted by path
	Volumes []Volume `json:"volumes"`           // sorted by mount path
	Refused []Write  `json:"refused,omitempty"` // what failed on a writable root too: no reason for a volume
}

// A Write is one path that was written.
type Write struct {
	Path   string             `json:"path"`
	Ops    map[observe.Op]int `json:"ops"` // calls by operation
	By     []string           `json:"by"`  // programs
	Bytes  int64              `json:"bytes,omitempty"`
	Errors []string           `json:"errors,omitempty"` // errno names, for Refused
}

// A Volume is one emptyDir that the container needs.
type Volume struct {
	MountPath string   `json:"mountPath"`           // canonical: /run, not /var/run
	SubPath   string   `json:"subPath,omitempty"`   // set where the program changes the mode or owner of its directory itself
	CopyUp    bool     `json:"copyUp,omitempty"`    // the image has content here that must be in the volume
	Medium    string   `json:"medium,omitempty"`    // "" or "Memory"
	SizeLimit string   `json:"sizeLimit,omitempty"` // Kubernetes quantity, with head room
	Mode      uint32   `json:"mode,omitempty"`      // of the directory in the image, 0 if as a kubelet makes it (0777)
	UID       uint32   `json:"uid,omitempty"`
	GID       uint32   `json:"gid,omitempty"`
	Need      Need     `json:"need,omitempty"` // set by leaving it out
	Why       []string `json:"why,omitempty"`  // the writes it is for, the first few
}
