package learn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/internal/pod"
)

// A containerRoot is the root file system of a container, with the digest of its
// image and the paths that this declares as VOLUME.
type containerRoot struct {
	profile.Rootfs
	digest  string
	volumes []string
}

type containerRoots map[string]containerRoot // by container

// containerRoots reads the images of all containers of a pod.
func (o Options) containerRoots(ctx context.Context, spec pod.PodSpec) (containerRoots, error) {
	out := containerRoots{}
	for _, c := range containersOf(&spec.Spec) {
		s, err := o.containerRoot(ctx, &spec, c)
		if err != nil {
			return nil, fmt.Errorf("container %s: %w", c.Name, err)
		}
		out[c.Name] = s
	}
	return out, nil
}

func (o Options) containerRoot(ctx context.Context, spec *pod.PodSpec, c *corev1.Container) (s containerRoot, err error) {
	if err := o.Engine.EnsureImage(ctx, *spec, c.Image, c.ImagePullPolicy); err != nil {
		return s, err
	}
	img, err := o.Engine.Image(ctx, c.Image)
	if err != nil {
		return s, err
	}
	work, err := o.workDir(ctx)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, work.Close()) }()
	dir := filepath.Join(work.path, imageMount)
	err = o.Engine.MountImage(ctx, c.Image, dir)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, o.Engine.UnmountImage(context.WithoutCancel(ctx), dir)) }()
	root, err := rootfs.Open(dir)
	if err != nil {
		return s, err
	}
	defer root.Close()
	t, unknown, err := root.Walk(ctx, rootfs.WalkOptions{})
	// Without all entries, the plan cannot tell which content of the image a
	// volume would hide.
	if err == nil && len(unknown) > 0 {
		err = fmt.Errorf("read image %s: %s: %w", c.Image, unknown[0].Path, unknown[0].Err)
	}
	if err != nil {
		return s, err
	}
	user, err := userOf(&spec.Spec, c, img.Config.User, root)
	return containerRoot{
		Rootfs: profile.Rootfs{
			Tree: t, Mounts: mountsOf(c), User: user, Path: pathIn(img.Config.Env),
			WorkDir: cmp.Or(c.WorkingDir, img.Config.WorkingDir),
		},
		digest: img.Digest.String(), volumes: slices.Sorted(maps.Keys(img.Config.Volumes)),
	}, err
}

// pathIn returns the value of PATH in an environment.
func pathIn(env []string) string {
	for _, e := range env {
		if value, ok := strings.CutPrefix(e, "PATH="); ok {
			return value
		}
	}
	return ""
}

func containersOf(spec *corev1.PodSpec) []*corev1.Container {
	var out []*corev1.Container
	eachContainer(spec, func(c *corev1.Container) { out = append(out, c) })
	return out
}

// containerOf finds a container of a pod by name.
func containerOf(spec corev1.PodSpec, name string) (corev1.Container, bool) {
	for _, c := range containersOf(&spec) {
		if c.Name == name {
			return *c, true
		}
	}
	return corev1.Container{}, false
}

func mountsOf(c *corev1.Container) []profile.Mount {
	var out []profile.Mount
	for _, m := range c.VolumeMounts {
		out = append(out, profile.Mount{Path: m.MountPath, ReadOnly: m.ReadOnly, Volume: true})
	}
	for _, path := range pod.RuntimeMounts() {
		out = append(out, profile.Mount{Path: path})
	}
	if c.TerminationMessagePath != "" {
		out = append(out, profile.Mount{Path: c.TerminationMessagePath})
	}
	return out
}
