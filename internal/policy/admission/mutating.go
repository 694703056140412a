package admission

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/policy"
)

// A Sealed is a container that an API server seals in each pod that has it.
type Sealed struct {
	// Which containers are meant: those of an image with one of the digests or references
	// and, if Command is not nil, of a name, a command and arguments.
	Digests, References []string
	Container           string
	Command             *Command

	UID *uint32        // of the image's user; nil if it is unknown
	Pod corev1.PodSpec // with this container alone, as it is after sealing
}

// A Command is what a container starts, as in its manifest.
type Command struct{ Command, Args []string }

// MutatingLimits lists what mutating policies do not seal, one sentence each. The first line
// introduces the policies.
var MutatingLimits = []string{
	"These policies seal containers by their profiles when pods are created, except:",
	"- Of several containers of one image in a pod only the first is sealed. Init containers are not.",
	"- Where an init container fills volumes, pods that set another user than the image does are not changed, and neither are pods that forbid root if it takes root.",
	"- A volume that a pod has at a path, or above it, stays as it is. A container that has one at a path with .. is not changed.",
	"- Pods of Windows are not changed.",
	"What they leave as it is, the policy of root-not-read-only refuses: adamant policy --rules root-not-read-only.",
}

// MutatingPolicies returns a policy and its binding for each container that is to be sealed.
func MutatingPolicies(opts Options) ([]Object, error) {
	var all []Object
	seen := map[string]bool{}
	for _, s := range opts.Sealed {
		objects, err := mutating(s, opts)
		if err == nil && seen[objects[0].Metadata.Name] {
			err = errors.New("two profiles are of the same containers")
		}
		if err != nil {
			return nil, fmt.Errorf("container %s: %w", s.Container, err)
		}
		seen[objects[0].Metadata.Name] = true
		all = append(all, objects...)
	}
	return all, nil
}

// mutating returns a policy that seals a container when a pod with it is created, and its
// binding.
func mutating(s Sealed, opts Options) ([]Object, error) {
	if len(s.Digests)+len(s.References) == 0 {
		return nil, errors.New("neither a digest nor a reference of the image")
	}
	for _, d := range s.Digests {
		if !digestPattern.MatchString(d) {
			return nil, fmt.Errorf("%q is no digest of an image: want sha256: and 64 hexadecimal digits", d)
		}
	}
	if len(s.Pod.Containers) != 1 || len(s.Pod.InitContainers) > 1 {
		return nil, fmt.Errorf("want a pod with one container and at most one that fills volumes, have %d and %d", len(s.Pod.Containers), len(s.Pod.InitContainers))
	}
	name := s.name()
	m := mutation{Sealed: s, id: shortHash(name)}
	if err := m.addMounts(); err != nil {
		return nil, err
	}
	end := suffix
	if opts.Static {
		end = staticSuffix
	}
	meta := metadata{Name: name + end, Labels: map[string]string{ProfileLabel: name}}
	binding := mutatingBindingSpec{PolicyName: meta.Name}
	if opts.Namespaces != nil {
		binding.MatchResources = &matchResources{NamespaceSelector: opts.Namespaces}
	}
	return []Object{
		{apiVersion, "MutatingAdmissionPolicy", meta, m.policy()},
		{apiVersion, "MutatingAdmissionPolicyBinding", meta, binding},
	}, nil
}

var digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// ProfileLabel is a label of mutating policies and their bindings: the container that they
// seal.
const ProfileLabel = "adamant.sh/seals"

// name returns the name of the policy without its end: the container's, and a hash of which
// containers it is for.
func (s Sealed) name() string {
	return s.Container[:min(len(s.Container), 40)] + "-" + shortHash(s.matches("c"))
}

func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}

// A mutation writes the expressions of one policy.
type mutation struct {
	Sealed
	id     string
	mounts []mutationMount
}

// A mutationMount is a volume of a sealed container.
type mutationMount struct {
	corev1.VolumeMount               // its Name is that of the volume in pods
	volume             corev1.Volume // as in the sealed pod
	arguments          []string      // of the container that fills it; empty if none does
	filled             *corev1.VolumeMount
}

func (m *mutation) addMounts() error {
	for i, vm := range m.Pod.Containers[0].VolumeMounts {
		v := slices.IndexFunc(m.Pod.Volumes, func(v corev1.Volume) bool { return v.Name == vm.Name })
		if v < 0 || m.Pod.Volumes[v].EmptyDir == nil {
			return fmt.Errorf("volume %s at %s is not an emptyDir", vm.Name, vm.MountPath)
		}
		one := mutationMount{VolumeMount: vm, volume: m.Pod.Volumes[v]}
		if err := m.fill(&one, vm.Name); err != nil {
			return err
		}
		// A pod may have a volume of the same name.
		name := fmt.Sprintf("adamant-%s-%d-%s", m.id, i, vm.Name)
		one.Name = strings.TrimRight(name[:min(len(name), maxLabel)], "-")
		m.mounts = append(m.mounts, one)
	}
	return nil
}

const maxLabel = 63 // bytes of a DNS label, the name of a volume

// The command of a container that fills volumes is sh -c SCRIPT NAME, followed by
// fillArguments arguments for each volume. The second of them is a path in the volume. See
// manifest.OwnImage.
const (
	fillHead      = 4
	fillArguments = 5
)

// fill looks for the arguments that fill a volume.
func (m *mutation) fill(one *mutationMount, volume string) error {
	if len(m.Pod.InitContainers) == 0 {
		return nil
	}
	init := m.Pod.InitContainers[0]
	at := slices.IndexFunc(init.VolumeMounts, func(v corev1.VolumeMount) bool { return v.Name == volume })
	if at < 0 {
		return nil
	}
	one.filled = &init.VolumeMounts[at]
	for rest := init.Command[min(fillHead, len(init.Command)):]; len(rest) >= fillArguments; rest = rest[fillArguments:] {
		if strings.HasPrefix(strings.ReplaceAll(rest[1], "$$", "$"), one.filled.MountPath+"/") {
			one.arguments = rest[:fillArguments]
			return nil
		}
	}
	return fmt.Errorf("nothing fills volume %s", volume)
}

// matches returns a condition on a container c. It holds if s describes the container, the
// container is not a Windows host process, CEL can resolve the paths of its mounts, and its
// user can fill the volumes.
func (s Sealed) matches(c string) string {
	var images []string
	for _, d := range s.Digests {
		images = append(images, c+".image.endsWith("+quote("@"+d)+")")
	}
	if len(s.References) > 0 {
		images = append(images, c+".image in "+list(s.References))
	}
	all := []string{"(" + strings.Join(images, " || ") + ")"}
	if s.Command != nil {
		all = append(all, c+".name == "+quote(s.Container),
			c+".?command.orValue([]) == "+list(s.Command.Command), c+".?args.orValue([]) == "+list(s.Command.Args))
	}
	all = append(all, "!("+policy.HostProcessCEL("object.spec")+")",
		"!"+c+".?volumeMounts.orValue([]).exists(m, m.mountPath.matches(r'(^|/)\\.\\.(/|$)'))")
	return strings.Join(append(all, s.userMatches(c)...), " &&\n")
}

// userMatches returns conditions under which volumes can be filled: the pod sets no other user
// than the image does, and permits root if it takes that.
func (s Sealed) userMatches(c string) []string {
	if len(s.Pod.InitContainers) == 0 {
		return nil
	}
	setting := func(field, none string) string {
		return c + ".?securityContext.?" + field + ".orValue(object.spec.?securityContext.?" + field + ".orValue(" + none + "))"
	}
	users := "-1" // that is, not set
	if s.UID != nil {
		users += ", " + strconv.FormatUint(uint64(*s.UID), 10)
	}
	all := []string{setting("runAsUser", "-1") + " in [" + users + "]"}
	if root := s.Pod.InitContainers[0].SecurityContext; root != nil && root.RunAsUser != nil && *root.RunAsUser == 0 {
		all = append(all, "!"+setting("runAsNonRoot", "false"))
	}
	return all
}

// policy returns the policy.
func (m *mutation) policy() mutatingSpec {
	spec := mutatingSpec{
		FailurePolicy:      "Fail", // what could not be sealed must not run
		ReinvocationPolicy: "IfNeeded",
		MatchConstraints:   matchConstraints{ResourceRules: []resourceRule{{[]string{""}, []string{"v1"}, []string{"CREATE"}, []string{"pods"}}}},
		MatchConditions: []condition{
			{"runs-on-linux", "!(" + policy.WindowsCEL("object.spec") + ")"},
			{"has-the-container", "object.spec.containers.exists(c,\n" + indent(m.matches("c")) + ")"},
		},
		Variables: []variable{
			{"container", "object.spec.containers.filter(c,\n" + indent(m.matches("c")) + ")[0]"},
			{"mounted", "variables.container.?volumeMounts.orValue([]).map(m,\n  " + policy.CleanCEL("('/' + m.mountPath)") + ")"},
		},
	}
	// It comes first: the other mutation adds the mounts by which added is decided.
	if len(m.Pod.InitContainers) > 0 {
		spec.Mutations = append(spec.Mutations, mutationSpec{PatchType: "JSONPatch", JSONPatch: &patch{m.initPatch()}})
	}
	spec.Mutations = append(spec.Mutations, mutationSpec{PatchType: "ApplyConfiguration", ApplyConfiguration: &patch{m.expression()}})
	for i, one := range m.mounts {
		// A volume that the pod has there, or above, stays. "/" is "" in mounted.
		spec.Variables = append(spec.Variables, variable{added(i), fmt.Sprintf("!variables.mounted.exists(m, (%s + '/').startsWith(m + '/'))", quote(one.MountPath))})
	}
	return spec
}

func added(i int) string { return "added" + strconv.Itoa(i) }

// expression returns the fields that are merged into a pod.
func (m *mutation) expression() string {
	var mounts, volumes []string
	for _, one := range m.mounts {
		mounts = append(mounts, mountCEL("containers", one.VolumeMount))
		volumes = append(volumes, volumeCEL(one))
	}
	fields := []string{
		"name: variables.container.name",
		"securityContext: Object.spec.containers.securityContext{readOnlyRootFilesystem: true}",
	}
	spec := []string{}
	if len(m.mounts) > 0 {
		fields = append(fields, "volumeMounts: "+m.concat(mounts))
		spec = append(spec, "volumes: "+m.concat(volumes))
	}
	spec = append([]string{"containers: [Object.spec.containers{\n" + indent(strings.Join(fields, ",\n")) + "\n}]"}, spec...)
	return "Object{spec: Object.spec{\n" + indent(strings.Join(spec, ",\n")) + "\n}}"
}

// initPatch returns the patch that adds the container that fills volumes, after those that the
// pod has. An apply configuration cannot have it: its command is an atomic list.
func (m *mutation) initPatch() string {
	return m.fillsAny() + " ?\n" + indent("(has(object.spec.initContainers) ? [] : [JSONPatch{op: 'add', path: '/spec/initContainers', value: []}]) +\n"+
		"[JSONPatch{op: 'add', path: '/spec/initContainers/-', value: Object.spec.initContainers{\n"+indent(m.initCEL())+"\n}}]") + " :\n  []"
}

// concat returns the list of those expressions, one for each mount, that are added.
func (m *mutation) concat(expressions []string) string {
	var all []string
	for i, e := range expressions {
		if e != "" {
			all = append(all, "(variables."+added(i)+" ? ["+e+"] : [])")
		}
	}
	return strings.Join(all, " +\n")
}

func (m *mutation) fillsAny() string {
	var all []string
	for i, one := range m.mounts {
		if one.arguments != nil {
			all = append(all, "variables."+added(i))
		}
	}
	return strings.Join(all, " || ")
}

// initCEL returns the fields of the container that fills the volumes. It gets the resources
// of the container, which adds nothing to what the pod needs.
func (m *mutation) initCEL() string {
	init := m.Pod.InitContainers[0]
	command := []string{list(init.Command[:fillHead])}
	var mounts []string
	for i, one := range m.mounts {
		if one.arguments == nil {
			mounts = append(mounts, "")
			continue
		}
		command = append(command, "(variables."+added(i)+" ? "+list(one.arguments)+" : [])")
		filled := *one.filled
		filled.Name = one.Name
		mounts = append(mounts, mountCEL("initContainers", filled))
	}
	var resources []string
	for _, kind := range []string{"requests", "limits"} {
		var quantities []string
		for _, name := range []string{"cpu", "memory", "ephemeral-storage"} {
			quantities = append(quantities, fmt.Sprintf("?'%s': variables.container.?resources.?%s[?'%s']", name, kind, name))
		}
		resources = append(resources, kind+": {"+strings.Join(quantities, ", ")+"}")
	}
	return strings.Join([]string{
		"name: " + quote("adamant-copy-up-"+m.id),
		"image: variables.container.image",
		"?imagePullPolicy: variables.container.?imagePullPolicy",
		"command: " + strings.Join(command, " +\n"),
		"resources: Object.spec.initContainers.resources{\n" + indent(strings.Join(resources, ",\n")) + "\n}",
		"securityContext: " + securityCEL(init.SecurityContext),
		"volumeMounts: " + m.concat(mounts),
	}, ",\n")
}

// securityCEL returns the security context of the container that fills volumes. It is root, or
// whoever the container is.
func securityCEL(s *corev1.SecurityContext) string {
	const at = "Object.spec.initContainers.securityContext"
	fields := []string{"allowPrivilegeEscalation: false", "readOnlyRootFilesystem: true"}
	if s.RunAsUser != nil {
		fields = append(fields, "runAsUser: "+strconv.FormatInt(*s.RunAsUser, 10))
	} else {
		for _, f := range []string{"runAsUser", "runAsGroup", "runAsNonRoot"} { // what the pod sets holds for both
			fields = append(fields, "?"+f+": variables.container.?securityContext.?"+f)
		}
	}
	capabilities := "drop: ['ALL']"
	if s.Capabilities != nil && len(s.Capabilities.Add) > 0 {
		var add []string
		for _, c := range s.Capabilities.Add {
			add = append(add, string(c))
		}
		capabilities += ", add: " + list(add)
	}
	fields = append(fields, "capabilities: "+at+".capabilities{"+capabilities+"}",
		"seccompProfile: "+at+".seccompProfile{type: 'RuntimeDefault'}")
	return at + "{\n" + indent(strings.Join(fields, ",\n")) + "\n}"
}

func mountCEL(containers string, m corev1.VolumeMount) string {
	fields := "name: " + quote(m.Name) + ", mountPath: " + quote(m.MountPath)
	if m.SubPath != "" {
		fields += ", subPath: " + quote(m.SubPath)
	}
	return "Object.spec." + containers + ".volumeMounts{" + fields + "}"
}

func volumeCEL(m mutationMount) string {
	var fields []string
	if dir := m.volume.EmptyDir; dir.Medium != "" {
		fields = append(fields, "medium: "+quote(string(dir.Medium)))
	}
	if limit := m.volume.EmptyDir.SizeLimit; limit != nil {
		fields = append(fields, "sizeLimit: "+quote(limit.String()))
	}
	return "Object.spec.volumes{name: " + quote(m.Name) + ", emptyDir: Object.spec.volumes.emptyDir{" + strings.Join(fields, ", ") + "}}"
}

// quote returns a string of CEL.
func quote(text string) string { return strconv.QuoteToASCII(text) }

// list returns a list of strings of CEL.
func list(texts []string) string {
	var all []string
	for _, t := range texts {
		all = append(all, quote(t))
	}
	return "[" + strings.Join(all, ", ") + "]"
}
