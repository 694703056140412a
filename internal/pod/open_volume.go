package pod

import (
	"fmt"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// OpenVolume opens a volume of the pod, which outlives its containers. Paths are
// resolved within it. The caller closes it.
func (p *Pod) OpenVolume(name string) (*rootfs.Root, error) {
	l := newLayout(p.e.opts.Root, p.UID)
	v, ok := translate.LocateVolumes(&p.rec.Spec, p.e.facts(&p.rec.Spec, l))[name]
	if !ok || v.Path == "" {
		return nil, fmt.Errorf("pod %s has no volume %s on this machine", p.Name, name)
	}
	return rootfs.Open(v.Path)
}
