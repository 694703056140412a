package containerd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"

	"github.com/adamant-sh/adamant/internal/fs/durable"
)

// An instance is the state that a root keeps as long as it exists.
type instance struct {
	// Snapshotter never changes: the snapshots of one cannot be read by another.
	Snapshotter string `json:"snapshotter"`
	// Subnet is that of the pods' network.
	Subnet netip.Prefix `json:"subnet"`
	// Ours are chains of iptables and directories that were not there before
	// the first start: with the last trace of the instance they go, too.
	Owned *[]string `json:"ours,omitempty"`
}

// loadInstance reads the file at path; one that is not there is an empty one.
func loadInstance(path string) (*instance, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &instance{}, nil
	}
	if err != nil {
		return nil, err
	}
	var in instance
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return &in, nil
}

func (in *instance) save(path string) error {
	raw, err := json.MarshalIndent(in, "", "\t")
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(path); err == nil && string(old) == string(raw) {
		return nil
	}
	return durable.WriteFile(path, raw, 0o600)
}
