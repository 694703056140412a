package inventory_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/servers/inventory"
)

// files are a user's home and inventories, by their path.
type files map[string]string

// write creates files in a new directory.
func (f files) write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range f {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// load reads the named inventories, and the file "config" as the ssh_config.
func (f files) load(t *testing.T, names ...string) (inventory.Inventory, string, error) {
	t.Helper()
	if _, ok := f["config"]; !ok {
		f["config"] = ""
	}
	dir := f.write(t)
	o := inventory.Options{SSHConfig: filepath.Join(dir, "config"), Home: filepath.Join(dir, "home"), User: "me"}
	for _, name := range names {
		o.Inventories = append(o.Inventories, filepath.Join(dir, name))
	}
	inv, err := inventory.Load(t.Context(), o)
	return inv, dir, err
}

// mustSelect selects hosts of which none may be refused.
func mustSelect(inv inventory.Inventory, patterns ...string) ([]inventory.Host, error) {
	s, err := inv.Select(patterns)
	if err == nil {
		err = s.Err()
	}
	return s.Hosts, err
}

func (f files) mustLoad(t *testing.T, names ...string) inventory.Inventory {
	t.Helper()
	inv, _, err := f.load(t, names...)
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// selectAll loads one inventory and selects by patterns, "all" if there is none.
func (f files) selectAll(t *testing.T, name string, patterns ...string) ([]inventory.Host, error) {
	t.Helper()
	var names []string
	if name != "" {
		names = []string{name}
	}
	inv, dir, err := f.load(t, names...)
	if err != nil {
		return nil, relative(err, dir)
	}
	if patterns == nil {
		patterns = []string{"all"}
	}
	s, err := inv.Select(patterns)
	if err == nil {
		err = s.Err()
	}
	return s.Hosts, relative(err, dir)
}

// text is an error whose paths do not depend on the test's directory.
type text string

func (e text) Error() string { return string(e) }

func relative(err error, dir string) error {
	if err == nil {
		return nil
	}
	return text(strings.ReplaceAll(err.Error(), dir+"/", ""))
}

func names(hosts []inventory.Host) string {
	var all []string
	for _, h := range hosts {
		all = append(all, h.Name)
	}
	return strings.Join(all, " ")
}
