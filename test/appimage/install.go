package appimage

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// install writes the files that the application adds to the base to work/upper.
func install(ctx context.Context, b base, apt, work string, app App) error {
	for _, d := range []string{"upper", "overlay", "root", "files"} {
		if err := os.Mkdir(filepath.Join(work, d), 0o755); err != nil {
			return err
		}
	}
	if err := writeFiles(filepath.Join(work, "files"), app.Files); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	network, err := aptNetwork(ctx)
	if err != nil {
		return err
	}
	script := []string{"sh", "-eu", "-c", string(installScript), "install.sh"}
	cmd := isolated(ctx, append(script, app.Packages...)...)
	cmd.Env = []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"BASE=" + b.root, "APT=" + apt, "WORK=" + work,
		"APT_NETWORK=" + network, "SETUP=" + app.Setup,
	}
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); strings.HasSuffix(strings.ToLower(name), "_proxy") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	return runQuietly(cmd)
}

// writeFiles writes configuration files below dir, with their paths below the
// root.
func writeFiles(dir string, files map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if strings.HasPrefix(files[name], "#!") {
			mode = 0o755
		}
		if err := os.WriteFile(path, []byte(files[name]), mode); err != nil {
			return err
		}
	}
	return nil
}
