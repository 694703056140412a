package manifest

import (
	"maps"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
)

// pod checks a pod spec. policies are the restart policies that its kind
// allows.
func (c *checker) pod(s *corev1.PodSpec, at path, policies ...corev1.RestartPolicy) {
	c.restartPolicy(s, at, policies)
	oneOf(c, at.with(key("dnsPolicy")), s.DNSPolicy, corev1.DNSClusterFirst, corev1.DNSClusterFirstWithHostNet, corev1.DNSDefault, corev1.DNSNone)
	if v := s.ActiveDeadlineSeconds; v != nil && *v < 1 {
		c.fail(at.with(key("activeDeadlineSeconds")), "", "must be at least 1")
	} else if v != nil && *v > math.MaxInt32 {
		c.fail(at.with(key("activeDeadlineSeconds")), "", "must be at most %d", math.MaxInt32)
	}
	if c.o.kind != "StatefulSet" { // which sets both itself
		c.optionalName(at.with(key("hostname")), s.Hostname, validation.IsDNS1123Label)
		c.optionalName(at.with(key("subdomain")), s.Subdomain, validation.IsDNS1123Label)
	}
	c.optionalName(at.with(key("serviceAccountName")), s.ServiceAccountName, validation.IsDNS1123Subdomain)
	c.optionalName(at.with(key("nodeName")), s.NodeName, validation.IsDNS1123Subdomain)
	if s.ShareProcessNamespace != nil && *s.ShareProcessNamespace && s.HostPID {
		c.fail(at.with(key("shareProcessNamespace")), "", "cannot be set together with hostPID")
	}
	c.hosts(s, at)
	c.scheduling(s, at)
	c.podSecurity(s.SecurityContext, at.with(key("securityContext")))
	volumes := c.volumes(s.Volumes, at.with(key("volumes")))
	c.containers(s, at, volumes)
}

// optionalName checks a name that may be missing.
func (c *checker) optionalName(at path, value string, valid func(string) []string) {
	if value != "" {
		c.name(at, value, valid(value))
	}
}

// scheduling checks where a pod may run.
func (c *checker) scheduling(s *corev1.PodSpec, at path) {
	for _, name := range slices.Sorted(maps.Keys(s.NodeSelector)) {
		at := at.with(key("nodeSelector"), key(name))
		c.name(at, name, validation.IsQualifiedName(name))
		c.name(at, s.NodeSelector[name], validation.IsValidLabelValue(s.NodeSelector[name]))
	}
	for i, t := range s.Tolerations {
		at := at.with(key("tolerations"), item(i))
		c.optionalName(at.with(key("key")), t.Key, validation.IsQualifiedName)
		oneOf(c, at.with(key("operator")), t.Operator, "", corev1.TolerationOpEqual, corev1.TolerationOpExists, corev1.TolerationOpLt, corev1.TolerationOpGt)
		oneOf(c, at.with(key("effect")), t.Effect, "", corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute)
		switch exists := t.Operator == corev1.TolerationOpExists; {
		case t.Key == "" && !exists:
			c.fail(at.with(key("operator")), "", "must be Exists where key is empty")
		case exists && t.Value != "":
			c.fail(at.with(key("value")), "", "must be empty where operator is Exists")
		case t.Operator == corev1.TolerationOpEqual || t.Operator == "":
			c.name(at.with(key("value")), t.Value, validation.IsValidLabelValue(t.Value))
		}
		if t.TolerationSeconds != nil && t.Effect != corev1.TaintEffectNoExecute {
			c.fail(at.with(key("tolerationSeconds")), "", "only where effect is NoExecute")
		}
	}
	if p := s.PreemptionPolicy; p != nil {
		oneOf(c, at.with(key("preemptionPolicy")), *p, corev1.PreemptLowerPriority, corev1.PreemptNever)
	}
	if s.OS != nil {
		oneOf(c, at.with(key("os"), key("name")), s.OS.Name, corev1.Linux, corev1.Windows)
	}
	for i, g := range s.ReadinessGates {
		c.name(at.with(key("readinessGates"), item(i), key("conditionType")), string(g.ConditionType), validation.IsQualifiedName(string(g.ConditionType)))
	}
}

func (c *checker) restartPolicy(s *corev1.PodSpec, at path, policies []corev1.RestartPolicy) {
	at = at.with(key("restartPolicy"))
	for _, p := range policies {
		if p == s.RestartPolicy {
			return
		}
	}
	if s.RestartPolicy == corev1.RestartPolicyAlways && len(policies) == 2 {
		c.fail(at, "write restartPolicy: OnFailure, or Never", "a %s must say OnFailure or Never", c.o.kind)
		return
	}
	oneOf(c, at, s.RestartPolicy, policies...)
}

func (c *checker) hosts(s *corev1.PodSpec, at path) {
	for i, a := range s.HostAliases {
		at := at.with(key("hostAliases"), item(i))
		c.ip(at.with(key("ip")), a.IP)
		for j, name := range a.Hostnames {
			c.name(at.with(key("hostnames"), item(j)), name, validation.IsDNS1123Subdomain(name))
		}
	}
	if s.DNSPolicy == corev1.DNSNone && (s.DNSConfig == nil || len(s.DNSConfig.Nameservers) == 0) {
		c.fail(at.with(key("dnsPolicy")), "name one in dnsConfig.nameservers", "None needs a name server")
	}
	if s.DNSConfig == nil {
		return
	}
	if n := len(s.DNSConfig.Nameservers); n > 3 {
		c.fail(at.with(key("dnsConfig"), key("nameservers")), "", "%d, more than 3", n)
	}
	if n := len(s.DNSConfig.Searches); n > 32 {
		c.fail(at.with(key("dnsConfig"), key("searches")), "", "%d, more than 32", n)
	}
	if n := len(strings.Join(s.DNSConfig.Searches, " ")); n > 2048 {
		c.fail(at.with(key("dnsConfig"), key("searches")), "", "%d characters, more than 2048", n)
	}
	for i, domain := range s.DNSConfig.Searches {
		if domain != "." {
			c.name(at.with(key("dnsConfig"), key("searches"), item(i)), domain, validation.IsDNS1123SubdomainWithUnderscore(strings.TrimSuffix(domain, ".")))
		}
	}
	for i, server := range s.DNSConfig.Nameservers {
		c.ip(at.with(key("dnsConfig"), key("nameservers"), item(i)), server)
	}
	for i, option := range s.DNSConfig.Options {
		c.require(at.with(key("dnsConfig"), key("options"), item(i), key("name")), option.Name)
	}
}

func (c *checker) ip(at path, value string) {
	if _, err := netip.ParseAddr(value); err != nil {
		c.fail(at, "", "%q is not an IP address", value)
	}
}

func (c *checker) podSecurity(s *corev1.PodSecurityContext, at path) {
	c.id(at.with(key("runAsUser")), s.RunAsUser)
	c.id(at.with(key("runAsGroup")), s.RunAsGroup)
	c.id(at.with(key("fsGroup")), s.FSGroup)
	for i := range s.SupplementalGroups {
		c.id(at.with(key("supplementalGroups"), item(i)), &s.SupplementalGroups[i])
	}
	if p := s.SupplementalGroupsPolicy; p != nil {
		oneOf(c, at.with(key("supplementalGroupsPolicy")), *p, corev1.SupplementalGroupsPolicyMerge, corev1.SupplementalGroupsPolicyStrict)
	}
	if p := s.FSGroupChangePolicy; p != nil {
		oneOf(c, at.with(key("fsGroupChangePolicy")), *p, corev1.FSGroupChangeOnRootMismatch, corev1.FSGroupChangeAlways)
	}
	names := sets.New[string]()
	for i, sysctl := range s.Sysctls {
		at := at.with(key("sysctls"), item(i), key("name"))
		switch {
		case !c.require(at, sysctl.Name):
		case len(sysctl.Name) > 253 || !sysctlName.MatchString(sysctl.Name):
			c.fail(at, "", "%q is not the name of a sysctl", sysctl.Name)
		case names.Has(sysctl.Name):
			c.fail(at, "", "%q is set twice", sysctl.Name)
		}
		names.Insert(sysctl.Name)
	}
	c.profiles(s.SeccompProfile, s.AppArmorProfile, at)
}

// sysctlName is the syntax of a sysctl, with dots or slashes.
var sysctlName = regexp.MustCompile(`^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$`)

// id checks the number of a user or group.
func (c *checker) id(at path, id *int64) {
	if id != nil && (*id < 0 || *id > 1<<31-1) {
		c.fail(at, "", "%d is not between 0 and 2147483647", *id)
	}
}

func (c *checker) profiles(seccomp *corev1.SeccompProfile, appArmor *corev1.AppArmorProfile, at path) {
	if seccomp != nil {
		at := at.with(key("seccompProfile"))
		oneOf(c, at.with(key("type")), seccomp.Type, corev1.SeccompProfileTypeRuntimeDefault, corev1.SeccompProfileTypeUnconfined, corev1.SeccompProfileTypeLocalhost)
		c.localhost(at, seccomp.Type == corev1.SeccompProfileTypeLocalhost, seccomp.LocalhostProfile)
	}
	if appArmor != nil {
		at := at.with(key("appArmorProfile"))
		oneOf(c, at.with(key("type")), appArmor.Type, corev1.AppArmorProfileTypeRuntimeDefault, corev1.AppArmorProfileTypeUnconfined, corev1.AppArmorProfileTypeLocalhost)
		c.localhost(at, appArmor.Type == corev1.AppArmorProfileTypeLocalhost, appArmor.LocalhostProfile)
	}
}

func (c *checker) localhost(at path, is bool, profile *string) {
	at = at.with(key("localhostProfile"))
	if is && profile != nil && *profile != "" {
		c.relative(at, *profile)
	}
	if is && (profile == nil || *profile == "") {
		c.fail(at, "", "required with type Localhost")
	}
	if !is && profile != nil {
		c.fail(at, "", "only with type Localhost")
	}
}

// containers checks all containers of a pod, and that their names and ports
// differ.
func (c *checker) containers(s *corev1.PodSpec, at path, volumes sets.Set[string]) {
	if len(s.Containers) == 0 {
		c.fail(at.with(key("containers")), "", "required: a pod needs at least one container")
	}
	names := sets.New[string]()
	// Each init container has its own host ports, because it has ended before
	// another container starts. A kube-apiserver does not compare those of
	// sidecars either.
	together := hostPorts{}
	each := func(list []corev1.Container, at path, init bool) {
		for i := range list {
			one := containerChecker{checker: c, at: at.with(item(i)), c: &list[i], pod: s, volumes: volumes, init: init}
			one.sidecar = init && list[i].RestartPolicy != nil && *list[i].RestartPolicy == corev1.ContainerRestartPolicyAlways
			ports := together
			if init {
				ports = hostPorts{}
			}
			one.check(names, ports)
		}
	}
	each(s.InitContainers, at.with(key("initContainers")), true)
	each(s.Containers, at.with(key("containers")), false)
}

// hostPorts maps the used host ports to the fields that use them.
type hostPorts map[corev1.ContainerPort]path
