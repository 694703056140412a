package image

import (
	"encoding/hex"
	"hash"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// A Config is the part of an image's configuration that concerns running it.
type Config struct {
	User         string // "name", "name:group", "uid:gid", or empty
	Env          []string
	Entrypoint   []string
	Cmd          []string
	WorkingDir   string
	Volumes      []string // paths, sorted
	ExposedPorts []string // "80/tcp", sorted
	StopSignal   string   // "SIGQUIT"; empty means SIGTERM
	Labels       map[string]string
	Architecture string // as Go names it
}

func (c Config) oci() v1.Config {
	return v1.Config{
		User: c.User, Env: c.Env, Entrypoint: c.Entrypoint, Cmd: c.Cmd, WorkingDir: c.WorkingDir,
		Volumes: setOf(c.Volumes), ExposedPorts: setOf(c.ExposedPorts), StopSignal: c.StopSignal, Labels: c.Labels,
	}
}

func setOf(list []string) map[string]struct{} {
	if len(list) == 0 {
		return nil
	}
	set := make(map[string]struct{}, len(list))
	for _, s := range list {
		set[s] = struct{}{}
	}
	return set
}

func hashOf(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}
