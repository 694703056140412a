package manifest

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

const (
	imageRoot  = "/image"       // where an init container finds the application's image
	volumeRoot = "/volumes"     // below it, the volumes under the paths they are for
	toolRoot   = "/adamant-bin" // where the tool is installed
)

// copyScript fills volumes with the programs of the application's own image, which
// may be those of coreutils or busybox. It has five arguments for each volume: the
// path in the image, which ends in a slash for a directory; the name in the volume
// that is mounted; mode and owner, if they are not those in the image; and what is
// mounted over the image and is left out. Content gets its name when it is
// complete and never changes again: an init container runs again when its pod is
// restarted, and the volume has the container's changes then.
const copyScript = `set -eu; while [ $# -ge 5 ]; do if [ ! -e "$2" ]; then part="$2.part"; ` +
	`chmod -R u+rwX "$part" 2>/dev/null || :; rm -rf "$part"; ` +
	`if [ -e "$1" ]; then cp -a "$1" "$part"; else case $1 in */) mkdir -m 0777 "$part";; *) : >"$part";; esac; fi; ` +
	`[ -z "$5" ] || rm -rf "$part/$5"; [ -z "$4" ] || chown "$4" "$part"; [ -z "$3" ] || chmod "$3" "$part"; ` +
	`sync -f "$part" 2>/dev/null || sync; mv "$part" "$2"; fi; shift 5; done`

// serviceAccount is the directory that a kubelet mounts into every container.
const serviceAccount = "/secrets/kubernetes.io"

// A copyUpStep is the init container that prepares the volumes of one container.
type copyUpStep struct {
	name      string
	form      CopyUpForm
	at        string // path of the container in the pod
	container *corev1.Container
	plan      ContainerPlan
	volumes   []preparation
}

// IsCopyUp reports whether a container is one that sealing added: it fills volumes of
// others, and all that it has mounted is for that.
func IsCopyUp(c corev1.Container) bool {
	for _, m := range c.VolumeMounts {
		if m.MountPath != imageRoot && m.MountPath != toolRoot && !strings.HasPrefix(m.MountPath, volumeRoot+"/") {
			return false
		}
	}
	return strings.HasPrefix(c.Name, "adamant-") && len(c.VolumeMounts) > 0
}

// form returns how the volumes of a container are filled.
func (s *sealer) form(p ContainerPlan) CopyUpForm {
	switch {
	case s.opts.Form != "":
		return s.opts.Form
	case p.CopyTools != nil && !*p.CopyTools:
		return InstalledTool
	}
	return OwnImage
}

// copyUp adds the init container of a step.
func (s *sealer) copyUp(step copyUpStep) error {
	if step.form != OwnImage && s.opts.Image == "" {
		e := s.w.Errorf(step.at+".image", "name an image with Adamant's tool: adamant copy-up-image --push REF, then adamant seal --copy-up-image REF@DIGEST",
			"%s has content for %s, and not the programs (sh, cp, …) to copy it there", step.container.Image, paths(step.volumes))
		return e
	}
	who, err := s.identity(step)
	if err != nil {
		return err
	}
	if who.note != "" {
		s.note(step.at, who.note)
	}
	s.note(step.at+".image", s.requirement(step))
	init := Fields{{"name", step.name}}
	mounts := []any{}
	args := []string{"copy-up", "--from", imageRoot, "--to", volumeRoot}
	if step.form == ImageVolume {
		init = append(init, Field{"image", s.opts.Image})
		args = append([]string{"/adamant"}, args...)
		mounts = append(mounts, Fields{{"name", s.imageVolume(step.at, step.container)}, {"mountPath", imageRoot}, {"readOnly", true}})
	} else {
		init = append(init, Field{"image", step.container.Image})
		if s.sets(step.at + ".imagePullPolicy") {
			init = append(init, Field{"imagePullPolicy", string(step.container.ImagePullPolicy)})
		}
	}
	switch step.form {
	case OwnImage:
		args = []string{"sh", "-c", copyScript, step.name}
	case InstalledTool:
		args[2] = "/"
		args = append([]string{toolRoot + "/adamant"}, args...)
		mounts = append(mounts, Fields{{"name", s.installed(step, who)}, {"mountPath", toolRoot}, {"readOnly", true}})
	}
	for _, p := range step.volumes {
		own := []string{p.argument()}
		if step.form == OwnImage {
			own = p.script(who.root)
		}
		for _, a := range own {
			args = append(args, strings.ReplaceAll(a, "$", "$$")) // a kubelet takes $$ for $, and $(NAME) for a variable
		}
		mounts = append(mounts, Fields{{"name", p.volume}, {"mountPath", volumeRoot + p.MountPath}})
	}
	init = append(init, Field{"command", args})
	if r := resources(step.container.Resources); len(r) > 0 {
		init = append(init, Field{"resources", r})
	}
	s.inits = append(s.inits, append(init,
		Field{"securityContext", who.context},
		Field{"volumeMounts", mounts}))
	return nil
}

// note passes on a note about a field of the pod.
func (s *sealer) note(at, text string) {
	if s.opts.Note != nil {
		s.opts.Note(s.w.Errorf(at, "", "%s", text))
	}
}

// requirement returns what a cluster must have for a step.
func (s *sealer) requirement(step copyUpStep) string {
	image, volumes := step.container.Image, paths(step.volumes)
	switch {
	case step.form == ImageVolume:
		return fmt.Sprintf("%s fills %s: the cluster must be able to pull it, and have image volumes (Kubernetes 1.33)", s.opts.Image, volumes)
	case step.form == InstalledTool:
		return fmt.Sprintf("%s fills %s: the cluster must be able to pull it", s.opts.Image, volumes)
	case step.plan.CopyTools == nil:
		return fmt.Sprintf("sh and cp of %s fill %s: the profile does not tell whether it has them", image, volumes)
	}
	return fmt.Sprintf("sh and cp of %s fill %s: the cluster needs no other image", image, volumes)
}

func paths(volumes []preparation) string {
	var list []string
	for _, v := range volumes {
		list = append(list, v.MountPath)
	}
	return strings.Join(list, ", ")
}

// contentName is the name of a directory's content in its volume.
func contentName(mountPath string) string {
	name := mountPath[strings.LastIndexByte(mountPath, '/')+1:]
	if strings.HasPrefix(name, "..") {
		return "content"
	}
	return name
}

// script returns the arguments of copyScript for a volume.
func (p preparation) script(root bool) []string {
	from, mode, owner, without := p.MountPath, "", "", ""
	if !p.File {
		from += "/"
	}
	if p.Mode != 0 {
		mode = fmt.Sprintf("%04o", p.Mode)
		if root {
			owner = fmt.Sprintf("%d:%d", p.UID, p.GID)
		}
	}
	for _, run := range []string{"/run", "/var/run"} {
		if rest, ok := strings.CutPrefix(run+serviceAccount, from); ok {
			without = rest
		}
	}
	return []string{from, volumeRoot + p.MountPath + "/" + p.SubPath, mode, owner, without}
}

// resources returns a container's own requests and limits for what every
// container uses. An init container with the same ones adds nothing to what its
// pod needs, and keeps its class of service.
func resources(of corev1.ResourceRequirements) Fields {
	var f Fields
	for _, list := range []struct {
		name  string
		items corev1.ResourceList
	}{{"requests", of.Requests}, {"limits", of.Limits}} {
		var items Fields
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
			if q, ok := list.items[name]; ok {
				items = append(items, Field{string(name), q.String()})
			}
		}
		if len(items) > 0 {
			f = append(f, Field{list.name, items})
		}
	}
	return f
}

// An identity is whom an init container runs as.
type identity struct {
	root    bool
	context Fields
	note    string
}

// identity returns whom the init container of a step runs as: the container's own
// user without any privilege, which meets every level of Pod Security that the
// container meets, except where owners must be kept that only root can set.
func (s *sealer) identity(step copyUpStep) (identity, error) {
	pod, own := s.w.Template.Spec.SecurityContext, step.container.SecurityContext
	if pod == nil {
		pod = &corev1.PodSecurityContext{}
	}
	if own == nil {
		own = &corev1.SecurityContext{}
	}
	user, nonRoot := pod.RunAsUser, isTrue(pod.RunAsNonRoot)
	if own.RunAsUser != nil {
		user = own.RunAsUser
	}
	if own.RunAsNonRoot != nil {
		nonRoot = *own.RunAsNonRoot
	}
	known := user
	if known == nil && step.plan.UID != nil {
		uid := int64(*step.plan.UID)
		known = &uid
	}
	rootless := known != nil && *known != 0 || known == nil && nonRoot
	foreign := s.foreignOwners(step, known)
	f := Fields{{"allowPrivilegeEscalation", false}, {"readOnlyRootFilesystem", true}}
	can := Fields{{"drop", []string{"ALL"}}}
	out := identity{root: !rootless || len(foreign) > 0}
	switch {
	case !out.root && known == nil && step.form == ImageVolume:
		return out, s.w.Errorf(step.at, "choose --copy-up own-image or installed-tool, or set runAsUser",
			"its user is that of its image, which the profile does not have, and the tool's image has another")
	case !out.root:
		if own.RunAsUser != nil {
			f = append(f, Field{"runAsUser", *own.RunAsUser})
		} else if user == nil && known != nil && step.form == ImageVolume {
			f = append(f, Field{"runAsUser", *known}) // the tool's image has another user
		}
		if own.RunAsGroup != nil {
			f = append(f, Field{"runAsGroup", *own.RunAsGroup})
		} else if pod.RunAsGroup == nil && step.plan.GID != nil && step.form == ImageVolume {
			f = append(f, Field{"runAsGroup", int64(*step.plan.GID)})
		}
		if own.RunAsNonRoot != nil {
			f = append(f, Field{"runAsNonRoot", *own.RunAsNonRoot})
		}
	default:
		f = append(f, Field{"runAsUser", 0})
		if nonRoot || isTrue(pod.RunAsNonRoot) {
			f = append(f, Field{"runAsNonRoot", false}) // else a kubelet refuses to start it as root
		}
		if step.plan.UID == nil || len(foreign) > 0 {
			can = append(can, Field{"add", []string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"}})
		}
		if nonRoot || isTrue(pod.RunAsNonRoot) {
			out.note = fmt.Sprintf("an init container must be root, which Pod Security \"restricted\" forbids, to keep the owners at %s", strings.Join(foreign, ", "))
		}
	}
	f = append(f, Field{"capabilities", can})
	if pod.SeccompProfile == nil {
		f = append(f, Field{"seccompProfile", Fields{{"type", "RuntimeDefault"}}})
	}
	out.context = f
	return out, nil
}

// foreignOwners returns the paths of a step whose owners only root can set, because
// they must be kept and are not the user. Of a profile that does not have the
// container's user it is only known who owns the directories themselves. The root
// of a claim belongs to root, unless a kubelet gives it to the pod's fsGroup.
func (s *sealer) foreignOwners(step copyUpStep, user *int64) []string {
	pod := s.w.Template.Spec.SecurityContext
	var list []string
	for _, v := range step.volumes {
		differs := step.plan.UID == nil && user != nil && v.Mode != 0 && int64(v.UID) != *user
		if v.KeepOwners || differs || v.Claim != nil && (pod == nil || pod.FSGroup == nil) {
			list = append(list, v.MountPath)
		}
	}
	return list
}

// imageVolume adds the container's image as a volume.
func (s *sealer) imageVolume(at string, c *corev1.Container) string {
	name := s.take(s.volumes, slug("image-"+c.Name))
	image := Fields{{"reference", c.Image}}
	if s.sets(at + ".imagePullPolicy") {
		image = append(image, Field{"pullPolicy", string(c.ImagePullPolicy)})
	}
	s.ops = append(s.ops, s.w.Append("spec.volumes", Fields{{"name", name}, {"image", image}}))
	return name
}

// installed adds the volume with the tool and the init container that copies
// the tool to it, once for each pod.
func (s *sealer) installed(step copyUpStep, who identity) string {
	if s.tool != "" {
		return s.tool
	}
	s.tool = s.take(s.volumes, "adamant-bin")
	s.ops = append(s.ops, s.w.Append("spec.volumes", Fields{{"name", s.tool}, {"emptyDir", Fields{}}}))
	context := slices.DeleteFunc(slices.Clone(who.context), func(f Field) bool { return f.Key == "capabilities" })
	init := Fields{
		{"name", s.take(s.containers, "adamant-install")},
		{"image", s.opts.Image},
		{"command", []string{"/adamant", "copy-up", "--install", toolRoot + "/adamant"}},
	}
	if r := resources(step.container.Resources); len(r) > 0 {
		init = append(init, Field{"resources", r})
	}
	s.inits = append(s.inits, append(init,
		Field{"securityContext", append(context, Field{"capabilities", Fields{{"drop", []string{"ALL"}}}})},
		Field{"volumeMounts", []any{Fields{{"name", s.tool}, {"mountPath", toolRoot}}}}))
	return s.tool
}

// sets reports whether the manifest sets a field of the pod explicitly.
func (s *sealer) sets(fieldPath string) bool {
	p, err := s.w.resolve(fieldPath)
	if err != nil {
		return false
	}
	_, steps := s.w.node.find(p)
	return steps == len(p)
}
