package overlay

import (
	"encoding/json"
	"io"
	"os"
	"path"
	"strings"
)

// maxConfig bounds a configuration file of a container, in bytes.
const maxConfig = 16 << 20

// dockerName returns the name that Docker gave a container, or "". It is in config.v2.json
// below the daemon's data directory, which is where the container's /etc/hostname and
// /etc/hosts come from.
func dockerName(b Bundle, id string) string {
	var spec struct {
		Mounts []struct {
			Source string `json:"source"`
		} `json:"mounts"`
	}
	f, err := b.Open("config.json")
	if err != nil || !readJSON(f, &spec) {
		return ""
	}
	for _, m := range spec.Mounts {
		dir := path.Dir(m.Source)
		if path.Base(dir) != id || path.Base(path.Dir(dir)) != "containers" {
			continue
		}
		var config struct {
			ID   string
			Name string
		}
		f, err := Bundle{dir, b.Namespace}.Open("config.v2.json")
		if err == nil && readJSON(f, &config) && config.ID == id {
			return strings.TrimPrefix(config.Name, "/")
		}
	}
	return ""
}

// readJSON reads and closes a file.
func readJSON(f *os.File, into any) bool {
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig))
	return err == nil && json.Unmarshal(data, into) == nil
}
