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

// An instance is the state of one root. It is kept until Stop removes the root.
type instance struct {
	// Snapshotter never changes, because a snapshotter cannot read the snapshots
	// of another one.
	Snapshotter string `json:"snapshotter"`
	// Subnet is the subnet of the pods' network.
	Subnet netip.Prefix `json:"subnet"`
	// Services is the range of the addresses of Services.
	Services netip.Prefix `json:"services,omitzero"`
	// Owned lists the shared iptables chains and directories that did not exist
	// before the first start. Stop removes them. Nil if not recorded yet.
	Owned *[]string `json:"ours,omitempty"`
}

// loadInstance reads the file at path. It returns an empty instance if the file
// does not exist.
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
