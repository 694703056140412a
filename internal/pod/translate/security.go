package translate

import (
	"fmt"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/utils/ptr"
)

// containerSecurity returns the security context of a container. Its own fields
// replace those of the pod. The user is that of the image if neither sets one.
func containerSecurity(s *PodSpec, f Facts, c *corev1.Container, image Image) (*cri.LinuxContainerSecurityContext, error) {
	sc := mergedSecurity(s.Spec.SecurityContext, c.SecurityContext)
	if err := verifyNonRoot(sc, image); err != nil {
		return nil, err
	}
	seccomp, err := seccompProfile(sc.SeccompProfile, f.SeccompRoot)
	if err != nil {
		return nil, err
	}
	apparmor, err := apparmorProfile(sc.AppArmorProfile)
	if err != nil {
		return nil, err
	}
	out := &cri.LinuxContainerSecurityContext{
		Privileged:       ptr.Deref(sc.Privileged, false),
		ReadonlyRootfs:   ptr.Deref(sc.ReadOnlyRootFilesystem, false),
		NoNewPrivs:       !ptr.Deref(sc.AllowPrivilegeEscalation, true),
		NamespaceOptions: namespaces(&s.Spec),
		SelinuxOptions:   selinux(sc.SELinuxOptions),
		RunAsUser:        int64Value(sc.RunAsUser),
		RunAsGroup:       int64Value(sc.RunAsGroup),
		Seccomp:          seccomp,
		Apparmor:         apparmor,
	}
	out.SupplementalGroups, out.SupplementalGroupsPolicy = groups(s.Spec.SecurityContext)
	// As a kubelet does, the request names the user of the image.
	if out.RunAsUser == nil {
		out.RunAsUser, out.RunAsUsername = int64Value(image.UID), image.Username
	}
	if sc.Capabilities != nil {
		out.Capabilities = &cri.Capability{
			AddCapabilities:  names(sc.Capabilities.Add),
			DropCapabilities: names(sc.Capabilities.Drop),
		}
	}
	if ptr.Deref(sc.ProcMount, corev1.DefaultProcMount) != corev1.UnmaskedProcMount {
		out.MaskedPaths, out.ReadonlyPaths = maskedPaths(f.Node), readonlyPaths()
	}
	return out, nil
}

// mergedSecurity merges a container's security context into that of its pod.
func mergedSecurity(pod *corev1.PodSecurityContext, own *corev1.SecurityContext) corev1.SecurityContext {
	var out corev1.SecurityContext
	if pod != nil {
		out.SELinuxOptions = pod.SELinuxOptions
		out.RunAsUser = pod.RunAsUser
		out.RunAsGroup = pod.RunAsGroup
		out.RunAsNonRoot = pod.RunAsNonRoot
		out.SeccompProfile = pod.SeccompProfile
		out.AppArmorProfile = pod.AppArmorProfile
	}
	if own == nil {
		return out
	}
	override(&out.SELinuxOptions, own.SELinuxOptions)
	override(&out.RunAsUser, own.RunAsUser)
	override(&out.RunAsGroup, own.RunAsGroup)
	override(&out.RunAsNonRoot, own.RunAsNonRoot)
	override(&out.SeccompProfile, own.SeccompProfile)
	override(&out.AppArmorProfile, own.AppArmorProfile)
	out.Capabilities = own.Capabilities
	out.Privileged = own.Privileged
	out.ReadOnlyRootFilesystem = own.ReadOnlyRootFilesystem
	out.AllowPrivilegeEscalation = own.AllowPrivilegeEscalation
	out.ProcMount = own.ProcMount
	return out
}

func override[T any](dst **T, own *T) {
	if own != nil {
		*dst = own
	}
}

// verifyNonRoot checks the user against runAsNonRoot. It refuses a user name,
// because its UID is not known: the image's /etc/passwd could map it to 0.
func verifyNonRoot(sc corev1.SecurityContext, image Image) error {
	if !ptr.Deref(sc.RunAsNonRoot, false) {
		return nil
	}
	switch {
	case sc.RunAsUser != nil && *sc.RunAsUser == 0:
		return fmt.Errorf("runAsNonRoot is set, but runAsUser is 0")
	case sc.RunAsUser != nil:
		return nil
	case image.UID != nil && *image.UID == 0:
		return fmt.Errorf("runAsNonRoot is set, but the image runs as root: set runAsUser")
	case image.UID == nil && image.Username != "":
		return fmt.Errorf("runAsNonRoot is set, but the image names its user %q without a number: set runAsUser", image.Username)
	}
	return nil
}

// seccompProfile translates a seccomp profile. Without one the container is
// unconfined, as under a kubelet without seccompDefault.
func seccompProfile(p *corev1.SeccompProfile, root string) (*cri.SecurityProfile, error) {
	out := &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Unconfined}
	switch {
	case p == nil || p.Type == corev1.SeccompProfileTypeUnconfined:
	case p.Type == corev1.SeccompProfileTypeRuntimeDefault:
		out.ProfileType = cri.SecurityProfile_RuntimeDefault
	case p.Type == corev1.SeccompProfileTypeLocalhost:
		name := ptr.Deref(p.LocalhostProfile, "")
		if !isLocal(name) {
			return nil, fmt.Errorf("seccompProfile.localhostProfile %q must be a path below %s", name, root)
		}
		out.ProfileType = cri.SecurityProfile_Localhost
		out.LocalhostRef = path.Join(root, name)
	default:
		return nil, fmt.Errorf("seccompProfile.type %q is not known", p.Type)
	}
	return out, nil
}

// isLocal reports whether a relative path stays below its directory. It is
// filepath.IsLocal for Linux; this package must not import filepath, which does
// I/O.
func isLocal(name string) bool {
	clean := path.Clean(name)
	return name != "" && !path.IsAbs(name) && clean != ".." && !strings.HasPrefix(clean, "../")
}

// apparmorProfile translates an AppArmor profile. Without one the runtime chooses.
func apparmorProfile(p *corev1.AppArmorProfile) (*cri.SecurityProfile, error) {
	if p == nil {
		return nil, nil
	}
	switch p.Type {
	case corev1.AppArmorProfileTypeUnconfined:
		return &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Unconfined}, nil
	case corev1.AppArmorProfileTypeRuntimeDefault:
		return &cri.SecurityProfile{ProfileType: cri.SecurityProfile_RuntimeDefault}, nil
	case corev1.AppArmorProfileTypeLocalhost:
		name := strings.TrimSpace(ptr.Deref(p.LocalhostProfile, ""))
		if name == "" {
			return nil, fmt.Errorf("appArmorProfile.localhostProfile is required for type Localhost")
		}
		return &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Localhost, LocalhostRef: name}, nil
	}
	return nil, fmt.Errorf("appArmorProfile.type %q is not known", p.Type)
}

// namespaces selects the namespaces of the machine, the pod or the container. By
// default each container has its own PID namespace; in the pod's namespace the
// pause program would be PID 1.
func namespaces(spec *corev1.PodSpec) *cri.NamespaceOption {
	ns := &cri.NamespaceOption{Pid: cri.NamespaceMode_CONTAINER}
	if spec.HostNetwork {
		ns.Network = cri.NamespaceMode_NODE
	}
	if spec.HostIPC {
		ns.Ipc = cri.NamespaceMode_NODE
	}
	if ptr.Deref(spec.ShareProcessNamespace, false) {
		ns.Pid = cri.NamespaceMode_POD
	}
	if spec.HostPID {
		ns.Pid = cri.NamespaceMode_NODE
	}
	return ns
}

// groups returns the supplementary groups of every process of the pod.
func groups(sc *corev1.PodSecurityContext) ([]int64, cri.SupplementalGroupsPolicy) {
	if sc == nil {
		return nil, cri.SupplementalGroupsPolicy_Merge
	}
	var out []int64
	if sc.FSGroup != nil {
		out = append(out, *sc.FSGroup)
	}
	out = append(out, sc.SupplementalGroups...)
	policy := cri.SupplementalGroupsPolicy_Merge
	if ptr.Deref(sc.SupplementalGroupsPolicy, corev1.SupplementalGroupsPolicyMerge) == corev1.SupplementalGroupsPolicyStrict {
		policy = cri.SupplementalGroupsPolicy_Strict
	}
	return out, policy
}

func selinux(o *corev1.SELinuxOptions) *cri.SELinuxOption {
	if o == nil {
		return nil
	}
	return &cri.SELinuxOption{User: o.User, Role: o.Role, Type: o.Type, Level: o.Level}
}

func int64Value(p *int64) *cri.Int64Value {
	if p == nil {
		return nil
	}
	return &cri.Int64Value{Value: *p}
}

func names(caps []corev1.Capability) []string {
	out := make([]string, len(caps))
	for i, c := range caps {
		out[i] = string(c)
	}
	return out
}

// maskedPaths returns the paths below /proc and /sys that the kubelet of 1.37
// masks.
func maskedPaths(n Node) []string {
	paths := []string{
		"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys",
		"/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
		"/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
	}
	// The thermal events of a CPU are a side channel: they show the load of other
	// containers.
	return append(paths, n.ThermalThrottles...)
}

// readonlyPaths returns the paths below /proc that the kubelet makes read-only.
func readonlyPaths() []string {
	return []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
}
