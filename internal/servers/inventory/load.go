package inventory

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
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
	hasFiles bool // inventories were given
}

// Load reads inventories and ssh_config. Parts of inventories that cannot be read, and
// unsupported settings such as a variable that is a template, are refused for their hosts
// once these are selected, because other hosts can still be reached. It returns an error,
// an *Error or Errors of them, if no host can be read at all.
func Load(ctx context.Context, o Options) (Inventory, error) {
	if err := o.complete(); err != nil {
		return Inventory{}, err
	}
	s := &source{ctx: ctx}
	config, err := s.loadConfig(o.SSHConfig, o.Home, o.User)
	if err != nil {
		return Inventory{}, err
	}
	inv := Inventory{graph: newGraph(), resolver: resolver{config: config, home: o.Home, user: o.User}, hasFiles: len(o.Inventories) > 0}
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
	vars := varsReader{source: s, graph: inv.graph, notes: &inv.Notes, dirs: map[string]bool{}}
	for _, dir := range dirs {
		if err := vars.readVars(dir); err != nil {
			return Inventory{}, err
		}
	}
	if faults := inv.graph.allFaults(); len(inv.graph.hosts) == 0 && len(faults) > 0 {
		return Inventory{}, joined(faults)
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
	files, faults, err := s.inventoriesAt(name, 0)
	if err != nil {
		return "", fmt.Errorf("read inventory: %w", err)
	}
	g := inv.graph
	g.faults = append(g.faults, faults...)
	for _, file := range files {
		if err := inv.file(s, file); endsReading(err) {
			return "", err
		} else if err != nil {
			g.faults = append(g.faults, located(err, file))
		}
	}
	dir = filepath.Clean(name)
	if len(files) == 1 && files[0] == name {
		dir = filepath.Dir(name)
	}
	return dir, nil
}

// file adds one inventory. Its error concerns the whole file.
func (inv *Inventory) file(s *source, name string) error {
	data, err := s.read(name)
	if err != nil {
		return err
	}
	if bytes.HasPrefix(data, []byte("$ANSIBLE_VAULT")) {
		return fail(Origin{File: name}, "save what `ansible-inventory --list --yaml` prints, and give that", "the inventory is in a vault, and none are opened")
	}
	if bytes.HasPrefix(data, []byte("#!")) {
		// Without "#!" an executable file is an inventory whose mode is too wide. With it,
		// a file that is not executable may still be an inventory.
		info, err := os.Stat(name)
		if err != nil || info.Mode()&0o111 != 0 || !inv.graph.isINI(name, data) {
			return fail(Origin{File: name}, "save what `ansible-inventory --list --yaml` prints, and give that", "an inventory script, and none are run")
		}
	}
	return inv.graph.parse(name, data, &inv.Notes)
}

// parse adds an inventory. As in Ansible a file with the extension of YAML, or with none,
// is YAML if it can be, and INI otherwise.
func (g *graph) parse(name string, data []byte, notes *[]Note) error {
	ext := filepath.Ext(name)
	switch ext {
	case ".toml":
		return fail(Origin{File: name}, "print it with `ansible-inventory --list --yaml`", "inventories in TOML are not supported")
	case ".yml", ".yaml", ".json", "":
	default:
		return g.readINI(name, data)
	}
	root, err := parseYAML(name, data)
	isText := err != nil || root != nil && !isMapping(root)
	switch {
	case !isText:
		return g.readYAML(name, root, notes)
	case g.isINI(name, data) || ext == "" && !looksLikeYAML(data):
		return g.readINI(name, data)
	case err == nil:
		return g.readYAML(name, root, notes) // returns the error
	}
	return err
}

// looksLikeYAML decides which of the two formats was meant if a file is neither.
func looksLikeYAML(data []byte) bool {
	for line := range bytes.Lines(data) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' {
			return bytes.HasPrefix(line, []byte("---")) || bytes.HasSuffix(line, []byte(":")) || bytes.IndexByte([]byte("{-%"), line[0]) >= 0
		}
	}
	return false
}

// isINI reports whether a file can be read as INI without any fault.
func (g *graph) isINI(name string, data []byte) bool {
	trial := newGraph()
	for _, known := range g.groupOrder { // sections may add to the groups of other files
		trial.group(known)
	}
	if trial.readINI(name, data) != nil || len(trial.allFaults()) > 0 {
		return false
	}
	for _, host := range trial.hosts {
		if host.fault != nil {
			return false
		}
	}
	return true
}
