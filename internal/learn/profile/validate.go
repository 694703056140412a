package profile

import (
	"fmt"
	"path"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/learn/trace"
)

// checkKind refuses documents of another kind or version.
func (p Profile) checkKind() error {
	if p.APIVersion == document.APIVersion && p.Kind == document.Profile {
		return nil
	}
	return fmt.Errorf("apiVersion %q, kind %q: a profile begins with apiVersion: %s and kind: %s",
		p.APIVersion, p.Kind, document.APIVersion, document.Profile)
}

// validate refuses a profile that cannot be applied.
func (p Profile) validate() error {
	if err := p.checkKind(); err != nil {
		return err
	}
	if p.Runs < 0 {
		return fmt.Errorf("runs: %d is negative", p.Runs)
	}
	if err := p.checkVerdict(); err != nil {
		return err
	}
	names := map[string]bool{}
	for i, c := range p.Containers {
		if names[c.Name] {
			return fmt.Errorf("containers[%d].name: %q appears twice", i, c.Name)
		}
		names[c.Name] = true
		if err := c.validate(); err != nil {
			return fmt.Errorf("containers[%d] (%s): %w", i, c.Name, err)
		}
	}
	return nil
}

func (c Container) validate() error {
	lists := []struct {
		field  string
		writes []Write
	}{{"writes", c.Writes}, {"refused", c.Refused}, {"spared", c.Spared}, {"unsolved", c.Unsolved}}
	for _, list := range lists {
		for i, w := range list.writes {
			if err := w.validate(); err != nil {
				return fmt.Errorf("%s[%d].%w", list.field, i, err)
			}
		}
	}
	for i, v := range c.Volumes {
		if err := v.validate(); err != nil {
			return fmt.Errorf("volumes[%d].%w", i, err)
		}
		for _, other := range c.Volumes[:i] {
			if within(v.MountPath, other.MountPath) || within(other.MountPath, v.MountPath) {
				return fmt.Errorf("volumes[%d].mountPath: %s and %s lie in one another: leave the inner one out",
					i, other.MountPath, v.MountPath)
			}
		}
	}
	for i, m := range c.Mounts {
		if !trace.IsClean(m.Path) {
			return fmt.Errorf("mounts[%d].path: %q is not absolute and clean", i, m.Path)
		}
	}
	for i, f := range c.Evidence {
		if !trace.IsClean(f.Path) || !slices.Contains(trace.Ops(), f.Op) {
			return fmt.Errorf("evidence[%d]: %q of %q is no call that could have failed", i, f.Op, f.Path)
		}
	}
	return nil
}

func (w Write) validate() error {
	if !trace.IsClean(w.Path) {
		return fmt.Errorf("path: %q is not absolute and clean", w.Path)
	}
	for op, n := range w.Ops {
		if !slices.Contains(trace.Ops(), op) {
			return fmt.Errorf("ops: no such operation as %q", op)
		}
		if n < 0 {
			return fmt.Errorf("ops.%s: %d is negative", op, n)
		}
	}
	if w.Seen < 0 {
		return fmt.Errorf("seen: %d is negative", w.Seen)
	}
	if w.Bytes < 0 {
		return fmt.Errorf("bytes: %d is negative", w.Bytes)
	}
	return nil
}

func (v Volume) validate() error {
	switch {
	case !trace.IsClean(v.MountPath):
		return fmt.Errorf("mountPath: %q is not absolute and clean", v.MountPath)
	case v.MountPath == "/" || isKernels(v.MountPath):
		return fmt.Errorf("mountPath: no volume can be mounted at %s", v.MountPath)
	case v.SubPath != "" && (v.SubPath == "." || v.SubPath == ".." || path.Base(v.SubPath) != v.SubPath):
		return fmt.Errorf("subPath: %q is not one name", v.SubPath)
	case v.File && v.SubPath == "":
		return fmt.Errorf("subPath: a single file needs its name in the volume")
	case v.Medium != "" && v.Medium != memory:
		return fmt.Errorf("medium: %q is neither empty nor %s", v.Medium, memory)
	case v.Mode > 0o7777:
		return fmt.Errorf("mode: %#o is more than 07777", v.Mode)
	case v.Used < 0:
		return fmt.Errorf("used: %d is negative", v.Used)
	case v.Need != "" && v.Need != Hard && v.Need != Soft && v.Need != Silent:
		return fmt.Errorf("need: %q is none of %s, %s and %s", v.Need, Hard, Soft, Silent)
	}
	if v.SizeLimit == "" {
		return nil
	}
	if q, err := resource.ParseQuantity(v.SizeLimit); err != nil || q.Sign() <= 0 {
		return fmt.Errorf("sizeLimit: %q is no quantity such as 64Mi", v.SizeLimit)
	}
	return nil
}
