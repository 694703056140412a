package pod

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// imageUser is the user an image asks for, as the runtime resolved it.
type imageUser struct {
	uid  *int64
	name string
}

// containerSecurity is the security context of one container: the pod's, with
// the container's own laid over it, and the user of the image where neither
// names one.
func containerSecurity(s *PodSpec, c *corev1.Container, user imageUser, seccompRoot string) (*cri.LinuxContainerSecurityContext, error) {
	sc := mergedSecurity(s.Spec.SecurityContext, c.SecurityContext)
	if err := verifyNonRoot(sc, user); err != nil {
		return nil, err
	}
	seccomp, err := seccompProfile(sc.SeccompProfile, seccompRoot)
	if err != nil {
		return nil, err
	}
	apparmor, err := apparmorProfile(sc.AppArmorProfile)
	if err != nil {
		return nil, err
	}
	out := &cri.LinuxContainerSecurityContext{
		Privileged:       deref(sc.Privileged, false),
		ReadonlyRootfs:   deref(sc.ReadOnlyRootFilesystem, false),
		NoNewPrivs:       !deref(sc.AllowPrivilegeEscalation, true),
		NamespaceOptions: namespaces(&s.Spec),
		SelinuxOptions:   selinux(sc.SELinuxOptions),
		RunAsUser:        int64Value(sc.RunAsUser),
		RunAsGroup:       int64Value(sc.RunAsGroup),
		Seccomp:          seccomp,
		Apparmor:         apparmor,
	}
	out.SupplementalGroups, out.SupplementalGroupsPolicy = groups(s.Spec.SecurityContext)
	if out.RunAsUser == nil {
		out.RunAsUser, out.RunAsUsername = int64Value(user.uid), user.name
	}
	if sc.Capabilities != nil {
		out.Capabilities = &cri.Capability{
			AddCapabilities:  names(sc.Capabilities.Add),
			DropCapabilities: names(sc.Capabilities.Drop),
		}
	}
	if deref(sc.ProcMount, corev1.DefaultProcMount) != corev1.UnmaskedProcMount {
		out.MaskedPaths, out.ReadonlyPaths = maskedPaths(), readonlyPaths()
	}
	return out, nil
}

// mergedSecurity lays a container's security context over the pod's.
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

// verifyNonRoot holds runAsNonRoot against the user that would be used. A user
// name says nothing about its number, so it is refused.
func verifyNonRoot(sc corev1.SecurityContext, user imageUser) error {
	if !deref(sc.RunAsNonRoot, false) {
		return nil
	}
	switch {
	case sc.RunAsUser != nil && *sc.RunAsUser == 0:
		return fmt.Errorf("runAsNonRoot is set, but runAsUser is 0")
	case sc.RunAsUser != nil:
		return nil
	case user.uid != nil && *user.uid == 0:
		return fmt.Errorf("runAsNonRoot is set, but the image runs as root: set runAsUser")
	case user.uid == nil && user.name != "":
		return fmt.Errorf("runAsNonRoot is set, but the image names its user %q without a number: set runAsUser", user.name)
	}
	return nil
}

// seccompProfile translates a profile; none means unconfined, as it does for a
// kubelet without seccompDefault.
func seccompProfile(p *corev1.SeccompProfile, root string) (*cri.SecurityProfile, error) {
	out := &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Unconfined}
	switch {
	case p == nil || p.Type == corev1.SeccompProfileTypeUnconfined:
	case p.Type == corev1.SeccompProfileTypeRuntimeDefault:
		out.ProfileType = cri.SecurityProfile_RuntimeDefault
	case p.Type == corev1.SeccompProfileTypeLocalhost:
		name := deref(p.LocalhostProfile, "")
		if !filepath.IsLocal(name) {
			return nil, fmt.Errorf("seccompProfile.localhostProfile %q must be a path below %s", name, root)
		}
		out.ProfileType = cri.SecurityProfile_Localhost
		out.LocalhostRef = filepath.Join(root, name)
	default:
		return nil, fmt.Errorf("seccompProfile.type %q is not known", p.Type)
	}
	return out, nil
}

// apparmorProfile translates a profile; none leaves the choice to the runtime.
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
		name := strings.TrimSpace(deref(p.LocalhostProfile, ""))
		if name == "" {
			return nil, fmt.Errorf("appArmorProfile.localhostProfile is required for type Localhost")
		}
		return &cri.SecurityProfile{ProfileType: cri.SecurityProfile_Localhost, LocalhostRef: name}, nil
	}
	return nil, fmt.Errorf("appArmorProfile.type %q is not known", p.Type)
}

// namespaces says which namespaces are the machine's, the pod's or the
// container's. The process namespace is the container's unless it is asked
// for: otherwise the pause program would be process 1.
func namespaces(spec *corev1.PodSpec) *cri.NamespaceOption {
	ns := &cri.NamespaceOption{Pid: cri.NamespaceMode_CONTAINER}
	if spec.HostNetwork {
		ns.Network = cri.NamespaceMode_NODE
	}
	if spec.HostIPC {
		ns.Ipc = cri.NamespaceMode_NODE
	}
	if deref(spec.ShareProcessNamespace, false) {
		ns.Pid = cri.NamespaceMode_POD
	}
	if spec.HostPID {
		ns.Pid = cri.NamespaceMode_NODE
	}
	return ns
}

// groups are the supplementary groups of every process of the pod.
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
	if deref(sc.SupplementalGroupsPolicy, corev1.SupplementalGroupsPolicyMerge) == corev1.SupplementalGroupsPolicyStrict {
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

// maskedPaths are what the kubelet of 1.37 hides of /proc and /sys.
func maskedPaths() []string {
	paths := []string{
		"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys",
		"/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
		"/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
	}
	// Thermal events of a CPU tell tenants about each other's load.
	throttles, _ := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle")
	for _, p := range throttles {
		if _, err := os.Stat(p); err == nil {
			paths = append(paths, p)
		}
	}
	return paths
}

// readonlyPaths are what the kubelet makes read-only of /proc.
func readonlyPaths() []string {
	return []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
}
