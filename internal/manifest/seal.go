package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	slash "path"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// A MountPlan is one volume that a container needs once its root file system is
// read-only: an emptyDir, or a claim.
type MountPlan struct {
	MountPath string // absolute and clean
	SubPath   string // mount this part of the volume, not all of it
	Medium    string // "" or "Memory"
	SizeLimit string // quantity; empty for none
	Claim     *ClaimPlan
	CopyUp    bool // an init container prepares the volume: content of the image, mode and owner
	File      bool // MountPath is a file; SubPath is its name in the volume

	// Mode, UID and GID are those of a directory that the image does not have.
	// Mode 0 is the mode that a kubelet sets. They apply only with CopyUp.
	Mode     uint32
	UID, GID uint32

	// KeepOwners is set if the content has owners other than the container's user
	// that must stay. Only root can set them.
	KeepOwners bool
}

// A ContainerPlan lists the volumes of one container of a workload.
type ContainerPlan struct {
	Container string // by name; init containers too
	Mounts    []MountPlan

	UID, GID  *uint32 // whom the container runs as; nil if unknown
	CopyTools *bool   // whether the image has the programs of OwnImage; nil if unknown
}

// A CopyUpForm is a way to copy the image's content to the volumes.
type CopyUpForm string

// The forms of copy-up.
const (
	// OwnImage uses an init container with the container's own image, whose own
	// sh and cp fill the volumes. It works everywhere and needs no other image.
	OwnImage CopyUpForm = "own-image"
	// ImageVolume mounts the container's image into an init container of the
	// tool. It needs Kubernetes 1.33, or Adamant's own runtime.
	ImageVolume CopyUpForm = "image-volume"
	// InstalledTool uses one init container that copies the tool to a volume,
	// and a second one with the container's own image that runs it. It works
	// everywhere.
	InstalledTool CopyUpForm = "installed-tool"
)

// CopyUpForms returns all forms.
func CopyUpForms() []CopyUpForm { return []CopyUpForm{OwnImage, ImageVolume, InstalledTool} }

// CopyUpImage is the name of the image with the copy-up tool on this machine,
// where Adamant's own runtime builds it. The tool is /adamant in it.
const CopyUpImage = "adamant.sh/copy-up:v1"

// SealOptions configures sealing. The zero value works.
type SealOptions struct {
	// Form is OwnImage if empty, and InstalledTool for an image that does not have
	// the programs for that.
	Form  CopyUpForm
	Image string // with the copy-up tool; required if a form needs it

	// Note receives one line for each thing that the user of the sealed manifest
	// should know. It may be nil.
	Note func(FieldError)
}

// Sealing returns the ops that make the containers' root file systems read-only
// and add the volumes of their plans. A path that an existing mount covers gets
// none, so that sealing a second time changes nothing.
//
// A volume that needs content is prepared by an init container, in which the
// volume for PATH is mounted, as a whole, at /volumes/PATH. See CopyUpForm for who
// copies. The tool runs as
//
//	/adamant copy-up --from IMAGE-ROOT --to /volumes PATH[:OPTION,…]…
//
// with the options subpath=DIR, mode=OCTAL, uid=N, gid=N and file.
func Sealing(w Workload, plans []ContainerPlan, opts SealOptions) ([]Op, error) {
	s := &sealer{w: w, opts: opts, volumes: map[string]bool{}, containers: map[string]bool{}}
	for _, v := range w.Template.Spec.Volumes {
		s.volumes[v.Name] = true
	}
	for _, list := range [][]corev1.Container{w.Template.Spec.InitContainers, w.Template.Spec.Containers} {
		for _, c := range list {
			s.containers[c.Name] = true
		}
	}
	preparing := 0
	for _, p := range plans {
		if slices.ContainsFunc(p.Mounts, func(m MountPlan) bool { return m.CopyUp }) {
			preparing++
		}
	}
	for _, p := range plans {
		if err := s.container(p, preparing > 1); err != nil {
			return nil, err
		}
	}
	// Prepending in reverse order keeps the order of the containers.
	for _, init := range slices.Backward(s.inits) {
		s.ops = append(s.ops, w.Prepend("spec.initContainers", init))
	}
	return s.ops, nil
}

type sealer struct {
	w          Workload
	opts       SealOptions
	ops        []Op
	inits      []any
	volumes    map[string]bool // names taken
	containers map[string]bool
	tool       string // volume that the tool is installed in
}

// A preparation is a volume that copy-up fills.
type preparation struct {
	volume string
	MountPlan
}

func (s *sealer) container(p ContainerPlan, several bool) error {
	at, c, err := s.w.container(p.Container)
	if err != nil {
		return fmt.Errorf("seal %s: %w", s.w, err)
	}
	missing, err := p.missing(c)
	if err != nil {
		return fmt.Errorf("seal %s: %w", s.w, err)
	}
	s.ops = append(s.ops, s.w.Set(at+".securityContext.readOnlyRootFilesystem", true))
	form := s.form(p)
	var prepared []preparation
	for _, m := range missing {
		if m.Claim != nil {
			m = s.forClaim(m)
		}
		if form == OwnImage && m.CopyUp && m.SubPath == "" {
			m.SubPath = contentName(m.MountPath)
		}
		name, err := s.volume(m, c)
		if err != nil {
			return fmt.Errorf("seal %s: container %s: %w", s.w, p.Container, err)
		}
		s.ops = append(s.ops, s.w.Append(at+".volumeMounts", m.mount(name)))
		if m.CopyUp {
			prepared = append(prepared, preparation{name, m})
		}
	}
	if len(prepared) == 0 {
		return nil
	}
	name := "adamant-copy-up"
	if several {
		name = slug(name + "-" + c.Name)
	}
	return s.copyUp(copyUpStep{
		name: s.take(s.containers, name), form: form, at: at, container: c, plan: p, volumes: prepared,
	})
}

// volume adds the volume of a plan and returns its name.
func (s *sealer) volume(m MountPlan, c *corev1.Container) (string, error) {
	if m.Claim != nil {
		return s.claimed(m)
	}
	// Two containers may need a volume for the same path.
	name := s.take(s.volumes, slug(m.MountPath), slug(m.MountPath+"-"+c.Name))
	s.ops = append(s.ops, s.w.Append("spec.volumes", m.volume(name)))
	return name, nil
}

// container returns a container of the workload by its name, and its path in the pod.
func (w Workload) container(name string) (string, *corev1.Container, error) {
	spec := &w.Template.Spec
	for i := range spec.Containers {
		if spec.Containers[i].Name == name {
			return fmt.Sprintf("spec.containers[%d]", i), &spec.Containers[i], nil
		}
	}
	for i := range spec.InitContainers {
		if spec.InitContainers[i].Name == name {
			return fmt.Sprintf("spec.initContainers[%d]", i), &spec.InitContainers[i], nil
		}
	}
	return "", nil, fmt.Errorf("there is no container %q", name)
}

// Missing returns the mounts of a plan that its container does not have. They are those
// that Sealing adds.
func (w Workload) Missing(p ContainerPlan) ([]MountPlan, error) {
	_, c, err := w.container(p.Container)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", w, err)
	}
	return p.missing(c)
}

func (p ContainerPlan) missing(c *corev1.Container) ([]MountPlan, error) {
	var list []MountPlan
	for _, m := range p.Mounts {
		if err := m.check(); err != nil {
			return nil, fmt.Errorf("container %s: %w", p.Container, err)
		}
		if !covered(c, m.MountPath) {
			list = append(list, m)
		}
	}
	return list, nil
}

// check refuses a plan that cannot be written to a manifest.
func (m MountPlan) check() error {
	switch {
	case !slash.IsAbs(m.MountPath) || slash.Clean(m.MountPath) != m.MountPath || m.MountPath == "/":
		return fmt.Errorf("cannot mount at %q: want an absolute, clean path", m.MountPath)
	case strings.Contains(m.MountPath, ":"):
		return fmt.Errorf("cannot mount at %q: Kubernetes allows no colon in it", m.MountPath)
	case m.SubPath != "" && (slash.IsAbs(m.SubPath) || slash.Clean(m.SubPath) != m.SubPath || strings.HasPrefix(m.SubPath, "..")):
		return fmt.Errorf("mount at %s: subpath %q leaves its volume", m.MountPath, m.SubPath)
	case strings.Contains(m.SubPath, ","):
		return fmt.Errorf("mount at %s: subpath %q contains a comma", m.MountPath, m.SubPath)
	case m.File && (m.SubPath == "" || !m.CopyUp):
		return fmt.Errorf("mount at %s: a file needs a name in its volume and must be copied there", m.MountPath)
	}
	return nil
}

// covered reports whether a container has a mount at or above a path.
func covered(c *corev1.Container, at string) bool {
	for _, m := range c.VolumeMounts {
		mount := slash.Clean("/" + m.MountPath) // a kubelet makes it absolute
		if mount == at || strings.HasPrefix(at, strings.TrimSuffix(mount, "/")+"/") {
			return true
		}
	}
	return false
}

func (m MountPlan) mount(volume string) Fields {
	f := Fields{{"name", volume}, {"mountPath", m.MountPath}}
	if m.SubPath != "" {
		f = append(f, Field{"subPath", m.SubPath})
	}
	return f
}

func (m MountPlan) volume(name string) Fields {
	var dir Fields
	if m.Medium != "" {
		dir = append(dir, Field{"medium", m.Medium})
	}
	if m.SizeLimit != "" {
		dir = append(dir, Field{"sizeLimit", m.SizeLimit})
	}
	return Fields{{"name", name}, {"emptyDir", dir}}
}

// argument returns the argument of the copy-up tool for the volume.
func (m MountPlan) argument() string {
	var options []string
	if m.SubPath != "" {
		options = append(options, "subpath="+m.SubPath)
	}
	if m.Mode != 0 {
		options = append(options, fmt.Sprintf("mode=%04o", m.Mode), "uid="+strconv.Itoa(int(m.UID)), "gid="+strconv.Itoa(int(m.GID)))
	}
	if m.File {
		options = append(options, "file")
	}
	if len(options) == 0 {
		return m.MountPath
	}
	return m.MountPath + ":" + strings.Join(options, ",")
}

// take reserves and returns the first free name of the list, or the last with a
// number added.
func (s *sealer) take(taken map[string]bool, names ...string) string {
	base := names[len(names)-1]
	for n := 2; ; n++ {
		for _, name := range names {
			if !taken[name] {
				taken[name] = true
				return name
			}
		}
		suffix := "-" + strconv.Itoa(n)
		names = []string{strings.TrimRight(base[:min(len(base), maxName-len(suffix))], "-") + suffix}
	}
}

// maxName is the longest DNS label, in bytes.
const maxName = 63

// slug converts a path to a DNS label: /var/cache/nginx to var-cache-nginx.
// Longer ones are truncated and get a hash that distinguishes them.
func slug(text string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(text) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			b.WriteRune(c)
		} else if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
			b.WriteByte('-')
		}
	}
	name := strings.TrimRight(b.String(), "-")
	if name == "" {
		name = "volume"
	}
	if len(name) <= maxName {
		return name
	}
	hash := sha256.Sum256([]byte(text))
	return strings.TrimRight(name[:maxName-9], "-") + "-" + hex.EncodeToString(hash[:4])
}
