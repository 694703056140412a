package inventory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
)

// Options configures Load. The zero value reads no inventory, only the user's
// ssh_config.
type Options struct {
	Inventories []string // Ansible's inventory files, or directories of them; later ones take precedence
	SSHConfig   string   // replaces ~/.ssh/config and /etc/ssh/ssh_config; must exist, unlike these
	Home        string   // the user's home; by default that of the process
	User        string   // the user on this machine, and the default elsewhere; by default that of the process
}

// An Inventory holds hosts. It does not change, and may be used by several goroutines.
type Inventory struct {
	// Notes are the settings that were ignored and may be expected to work.
	Notes []Note

	graph    *graph
	resolver resolver
}

// Load reads inventories and ssh_config. An error is an *Error where a file is
// invalid. Unsupported settings, such as a variable that is a template, fail for
// their hosts once these are selected, because other hosts can still be reached.
func Load(ctx context.Context, o Options) (Inventory, error) {
	if err := o.complete(); err != nil {
		return Inventory{}, err
	}
	s := &source{ctx: ctx}
	config, err := s.loadConfig(o.SSHConfig, o.Home, o.User)
	if err != nil {
		return Inventory{}, err
	}
	inv := Inventory{graph: newGraph(), resolver: resolver{config: config, home: o.Home, user: o.User}}
	var dirs []string
	for _, name := range o.Inventories {
		dir, err := inv.read(s, name)
		if err != nil {
			return Inventory{}, err
		}
		if !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	if err := inv.graph.finish(); err != nil {
		return Inventory{}, err
	}
	// A file in group_vars may belong to a group of any inventory, so all of them are
	// read before.
	vars := varsReader{source: s, graph: inv.graph, notes: &inv.Notes}
	for _, dir := range dirs {
		if err := vars.readVars(dir); err != nil {
			return Inventory{}, err
		}
	}
	return inv, nil
}

func (o *Options) complete() error {
	var err error
	if o.Home == "" {
		if o.Home, err = os.UserHomeDir(); err != nil {
			return fmt.Errorf("find the home directory: %w", err)
		}
	}
	if o.User == "" {
		u, err := user.Current()
		if err != nil {
			return fmt.Errorf("find the user's name: %w", err)
		}
		o.User = u.Username
	}
	return nil
}

// read adds a file or a directory, and returns the directory where group_vars
// and host_vars are.
func (inv *Inventory) read(s *source, name string) (dir string, err error) {
	files, err := s.inventoriesAt(name, 0)
	if err != nil {
		return "", fmt.Errorf("read inventory: %w", err)
	}
	for _, file := range files {
		if err := inv.file(s, file); err != nil {
			return "", err
		}
	}
	dir = filepath.Clean(name)
	if len(files) == 1 && files[0] == name {
		dir = filepath.Dir(name)
	}
	return dir, nil
}

func (inv *Inventory) file(s *source, name string) error {
	data, err := s.read(name)
	if err != nil {
		return err
	}
	// Without "#!" an executable file is an inventory whose mode is too wide.
	if info, err := os.Stat(name); err == nil && info.Mode()&0o111 != 0 && strings.HasPrefix(string(data), "#!") {
		return fail(Origin{File: name}, "save what `ansible-inventory --list --yaml` prints, and give that", "an inventory script, and none are run")
	}
	return inv.graph.parse(name, data, &inv.Notes)
}

// parse adds an inventory. Its format follows from the extension of its name or,
// without one, from its content.
func (g *graph) parse(name string, data []byte, notes *[]Note) error {
	switch filepath.Ext(name) {
	case ".yml", ".yaml", ".json":
		root, err := parseYAML(name, data)
		if err != nil {
			return err
		}
		return g.readYAML(name, root, notes)
	case ".toml":
		return fail(Origin{File: name}, "print it with `ansible-inventory --list --yaml`", "inventories in TOML are not supported")
	case "":
		root, err := parseYAML(name, data)
		if err == nil && root != nil && isMapping(root) {
			return g.readYAML(name, root, notes)
		}
		ini := g.readINI(name, data)
		if ini != nil && err != nil && !bytes.Contains(data, []byte("\n[")) {
			return errors.Join(ini, err) // it is not known which format was meant
		}
		return ini
	}
	return g.readINI(name, data)
}
