package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/adamant-sh/adamant/test/appimage"
)

// BuildImages builds the images of the manifests in testdata: the inspector as
// root, and as a user with supplementary groups in the image. It needs the working directory
// test/cluster.
func BuildImages(ctx context.Context, dir string) ([]string, error) {
	root := filepath.Join(dir, "image")
	if err := imageRoot(root); err != nil {
		return nil, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(root, "inspector"), "./inspector")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	if err := os.Mkdir(filepath.Join(root, "bin"), 0o755); err != nil {
		return nil, err
	}
	if err := os.Link(filepath.Join(root, "inspector"), filepath.Join(root, "bin/sh")); err != nil {
		return nil, err
	}
	var archives []string
	for name, user := range map[string]string{"inspector": "", "inspector-user": "app"} {
		archive := filepath.Join(dir, name+".tar")
		app := appimage.App{Name: name, User: user, Cmd: []string{"/inspector"}, Env: []string{"IMAGE=yes"}}
		if err := appimage.Pack(archive, root, app); err != nil {
			return nil, err
		}
		archives = append(archives, archive)
	}
	return archives, nil
}

// imageRoot creates the files of an image: a directory with an owner and a
// mode, users, and supplementary groups.
func imageRoot(root string) error {
	for _, dir := range []string{"etc", "data/below", "tmp", "run/lock", "var"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	for name, content := range map[string]string{
		"etc/passwd":      "root:x:0:0:root:/root:/inspector\napp:x:1000:1000:app:/data:/inspector\n",
		"etc/group":       "root:x:0:\napp:x:1000:\nextra:x:2000:app\nmore:x:2001:other,app\n",
		"data/file":       "of the image\n",
		"data/below/file": "of the image\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	if err := os.Symlink("/run", filepath.Join(root, "var/run")); err != nil {
		return err
	}
	if err := os.Chmod(filepath.Join(root, "tmp"), 0o777|os.ModeSticky); err != nil {
		return err
	}
	if err := os.Chmod(filepath.Join(root, "data"), 0o750); err != nil {
		return err
	}
	return os.Chown(filepath.Join(root, "data"), 1000, 1000)
}
