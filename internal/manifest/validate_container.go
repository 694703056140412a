package manifest

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
)

// A containerChecker checks one container of a pod.
type containerChecker struct {
	*checker
	at      path
	c       *corev1.Container
	pod     *corev1.PodSpec
	volumes sets.Set[string] // of the pod
	init    bool
	sidecar bool // an init container that stays
}

func (k *containerChecker) check(names sets.Set[string], ports hostPorts) {
	at := k.at.with(key("name"))
	if k.require(at, k.c.Name) {
		k.name(at, k.c.Name, validation.IsDNS1123Label(k.c.Name))
		if names.Has(k.c.Name) {
			k.fail(at, "", "another container is named %q", k.c.Name)
		}
		names.Insert(k.c.Name)
	}
	k.image(k.at.with(key("image")), k.c.Image)
	if p := k.c.RestartPolicy; p != nil {
		oneOf(k.checker, k.at.with(key("restartPolicy")), *p, corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyNever, corev1.ContainerRestartPolicyOnFailure)
	}
	oneOf(k.checker, k.at.with(key("imagePullPolicy")), k.c.ImagePullPolicy, corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever)
	oneOf(k.checker, k.at.with(key("terminationMessagePolicy")), k.c.TerminationMessagePolicy, corev1.TerminationMessageReadFile, corev1.TerminationMessageFallbackToLogsOnError)
	k.ports(ports)
	k.env()
	k.resources()
	k.mounts()
	k.probes()
	k.security()
}

// image refuses only references that are certainly invalid, because package
// image parses them.
func (c *checker) image(at path, image string) {
	switch {
	case !c.require(at, image):
	case strings.Contains(image, "{{"):
		c.fail(at, templateHint, "%q is not an image reference", image)
	case strings.TrimSpace(image) != image:
		c.fail(at, "", "%q begins or ends with white space", image)
	}
}

func (k *containerChecker) ports(taken hostPorts) {
	names := sets.New[string]()
	for i, p := range k.c.Ports {
		at := k.at.with(key("ports"), item(i))
		if p.Name != "" {
			k.name(at.with(key("name")), p.Name, validation.IsValidPortName(p.Name))
			if names.Has(p.Name) {
				k.fail(at.with(key("name")), "", "another port is named %q", p.Name)
			}
			names.Insert(p.Name)
		}
		if p.ContainerPort == 0 {
			k.fail(at.with(key("containerPort")), "", "required")
		} else {
			k.port(at.with(key("containerPort")), p.ContainerPort)
		}
		oneOf(k.checker, at.with(key("protocol")), p.Protocol, corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP)
		if p.HostIP != "" {
			k.ip(at.with(key("hostIP")), p.HostIP)
		}
		if p.HostPort == 0 {
			continue
		}
		k.port(at.with(key("hostPort")), p.HostPort)
		if k.pod.HostNetwork && p.HostPort != p.ContainerPort {
			k.fail(at.with(key("hostPort")), "", "must be the containerPort if hostNetwork is set")
		}
		id := corev1.ContainerPort{HostPort: p.HostPort, Protocol: p.Protocol, HostIP: p.HostIP}
		if first, ok := taken[id]; ok {
			k.fail(at.with(key("hostPort")), "", "port %d of the host is already taken by %s", p.HostPort, first)
		} else {
			taken[id] = at
		}
	}
}

func (c *checker) port(at path, port int32) {
	if port < 1 || port > 65535 {
		c.fail(at, "", "%d is not between 1 and 65535", port)
	}
}

func (k *containerChecker) env() {
	for i := range k.c.Env {
		e, at := &k.c.Env[i], k.at.with(key("env"), item(i))
		if k.require(at.with(key("name")), e.Name) {
			k.name(at.with(key("name")), e.Name, validation.IsRelaxedEnvVarName(e.Name))
		}
		if e.ValueFrom == nil {
			continue
		}
		at = at.with(key("valueFrom"))
		if e.Value != "" {
			k.fail(at, "", "cannot be set together with value")
		}
		k.envSource(e.ValueFrom, at)
	}
	for i, e := range k.c.EnvFrom {
		at := k.at.with(key("envFrom"), item(i))
		k.optionalName(at.with(key("prefix")), e.Prefix, validation.IsRelaxedEnvVarName)
		switch {
		case e.ConfigMapRef != nil && e.SecretRef != nil:
			k.fail(at, "", "only one of configMapRef and secretRef can be set")
		case e.ConfigMapRef != nil:
			k.refName(at.with(key("configMapRef"), key("name")), e.ConfigMapRef.Name)
		case e.SecretRef != nil:
			k.refName(at.with(key("secretRef"), key("name")), e.SecretRef.Name)
		default:
			k.fail(at, "", "one of configMapRef and secretRef is required")
		}
	}
}

// refName checks the name of a ConfigMap or Secret that a variable comes from.
func (c *checker) refName(at path, name string) {
	if c.require(at, name) {
		c.name(at, name, validation.IsDNS1123Subdomain(name))
	}
}

func (c *checker) refKey(at path, name string) {
	if c.require(at, name) {
		c.name(at, name, validation.IsConfigMapKey(name))
	}
}

func (k *containerChecker) envSource(s *corev1.EnvVarSource, at path) {
	set := 0
	if r := s.ConfigMapKeyRef; r != nil {
		set++
		k.refName(at.with(key("configMapKeyRef"), key("name")), r.Name)
		k.refKey(at.with(key("configMapKeyRef"), key("key")), r.Key)
	}
	if r := s.SecretKeyRef; r != nil {
		set++
		k.refName(at.with(key("secretKeyRef"), key("name")), r.Name)
		k.refKey(at.with(key("secretKeyRef"), key("key")), r.Key)
	}
	if r := s.FieldRef; r != nil {
		set++
		k.fieldRef(at.with(key("fieldRef")), r,
			"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
			"status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs")
	}
	if r := s.ResourceFieldRef; r != nil {
		set++
		k.resourceRef(r, at.with(key("resourceFieldRef")))
	}
	if s.FileKeyRef != nil {
		set++
	}
	if set != 1 {
		k.fail(at, "", "exactly one source must be set, not %d", set)
	}
}

// fieldRef checks a field of the downward API. A single label or annotation is
// allowed everywhere.
func (c *checker) fieldRef(at path, r *corev1.ObjectFieldSelector, allowed ...string) {
	if r.APIVersion != "v1" {
		c.fail(at.with(key("apiVersion")), "", "%q is not v1", r.APIVersion)
	}
	at = at.with(key("fieldPath"))
	if !c.require(at, r.FieldPath) || slices.Contains(allowed, r.FieldPath) {
		return
	}
	for _, m := range []string{"metadata.labels['", "metadata.annotations['"} {
		if name, ok := strings.CutPrefix(r.FieldPath, m); ok && strings.HasSuffix(name, "']") {
			name = strings.TrimSuffix(name, "']")
			if m == "metadata.annotations['" {
				name = strings.ToLower(name)
			}
			c.name(at, name, validation.IsQualifiedName(name))
			return
		}
	}
	c.fail(at, "allowed are "+strings.Join(allowed, ", ")+", and metadata.labels['key'] and metadata.annotations['key']", "%q cannot be referred to", r.FieldPath)
}

// divisors are the units that a resource can be expressed in.
var divisors = map[string][]string{
	"cpu": {"1m", "1"},
	"":    {"1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"},
}

func (c *checker) resourceRef(r *corev1.ResourceFieldSelector, at path) {
	if !c.require(at.with(key("resource")), r.Resource) {
		return
	}
	_, name, _ := strings.Cut(r.Resource, ".")
	if !strings.HasPrefix(r.Resource, "limits.hugepages-") && !strings.HasPrefix(r.Resource, "requests.hugepages-") {
		oneOf(c, at.with(key("resource")), r.Resource, "limits.cpu", "limits.memory", "limits.ephemeral-storage", "requests.cpu", "requests.memory", "requests.ephemeral-storage")
	}
	if r.Divisor.IsZero() {
		return
	}
	units, ok := divisors[name]
	if !ok {
		units = divisors[""]
	}
	oneOf(c, at.with(key("divisor")), r.Divisor.String(), units...)
}

func (k *containerChecker) resources() {
	r := k.c.Resources
	at := k.at.with(key("resources"))
	for name, limit := range r.Limits {
		k.quantity(at.with(key("limits"), key(string(name))), name, limit)
	}
	for name, q := range r.Requests {
		at := at.with(key("requests"), key(string(name)))
		limit, limited := r.Limits[name]
		if limited && q.Cmp(limit) == 0 {
			continue // a default
		}
		k.quantity(at, name, q)
		switch {
		case !limited && !overcommits(name):
			k.fail(at, "", "needs the same limit")
		case limited && !overcommits(name):
			k.fail(at, "", "%s is not the limit of %s", q.String(), limit.String())
		case limited && q.Cmp(limit) > 0:
			k.fail(at, "", "%s is more than the limit of %s", q.String(), limit.String())
		}
	}
	if k.hugePages() && !k.limits(corev1.ResourceCPU) && !k.limits(corev1.ResourceMemory) {
		k.fail(at, "", "huge pages need cpu or memory, too")
	}
}

func (k *containerChecker) limits(name corev1.ResourceName) bool {
	_, request := k.c.Resources.Requests[name]
	_, limit := k.c.Resources.Limits[name]
	return request || limit
}

func (k *containerChecker) hugePages() bool {
	for _, list := range []corev1.ResourceList{k.c.Resources.Limits, k.c.Resources.Requests} {
		for name := range list {
			if strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) {
				return true
			}
		}
	}
	return false
}

// overcommits reports whether a container may use more of a resource than it
// requests.
func overcommits(name corev1.ResourceName) bool {
	native := !strings.Contains(string(name), "/") || strings.Contains(string(name), "kubernetes.io/")
	return native && !strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
}

// quantity checks the name and the value of a resource.
func (k *containerChecker) quantity(at path, name corev1.ResourceName, q resource.Quantity) {
	if q.Sign() < 0 {
		k.fail(at, "", "%s is negative", q.String())
	}
	domain, _, extended := strings.Cut(string(name), "/")
	switch {
	case !extended:
		if name != corev1.ResourceCPU && name != corev1.ResourceMemory && name != corev1.ResourceEphemeralStorage &&
			!strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) {
			k.fail(at, "", "%q is none of cpu, memory, ephemeral-storage, hugepages-SIZE and DOMAIN/NAME", name)
		}
	case strings.Contains(domain, "kubernetes.io"): // a native one
	default:
		k.name(at, string(name), validation.IsQualifiedName(string(name)))
		if q.MilliValue()%1000 != 0 {
			k.fail(at, "", "%s is not a whole number", q.String())
		}
	}
}

func (k *containerChecker) mounts() {
	paths := map[string]bool{}
	for i, m := range k.c.VolumeMounts {
		at := k.at.with(key("volumeMounts"), item(i))
		if k.require(at.with(key("name")), m.Name) && !k.volumes.Has(m.Name) {
			k.fail(at.with(key("name")), nearest(m.Name, k.volumes), "there is no volume %q", m.Name)
		}
		k.mountPath(at.with(key("mountPath")), m.MountPath, paths)
		k.subPath(at, m)
		if p := m.MountPropagation; p != nil {
			at := at.with(key("mountPropagation"))
			oneOf(k.checker, at, *p, corev1.MountPropagationNone, corev1.MountPropagationHostToContainer, corev1.MountPropagationBidirectional)
			if *p == corev1.MountPropagationBidirectional && (k.c.SecurityContext == nil || !isTrue(k.c.SecurityContext.Privileged)) {
				k.fail(at, "", "Bidirectional is only for privileged containers")
			}
		}
		if r := m.RecursiveReadOnly; r != nil {
			at := at.with(key("recursiveReadOnly"))
			oneOf(k.checker, at, *r, corev1.RecursiveReadOnlyDisabled, corev1.RecursiveReadOnlyIfPossible, corev1.RecursiveReadOnlyEnabled)
			if *r != corev1.RecursiveReadOnlyDisabled && !m.ReadOnly {
				k.fail(at, "", "needs readOnly: true")
			}
		}
	}
}

func (k *containerChecker) mountPath(at path, p string, seen map[string]bool) {
	if !k.require(at, p) {
		return
	}
	// A kubelet makes a relative path absolute.
	if seen[p] {
		k.fail(at, "", "%q is mounted twice", p)
	}
	seen[p] = true
}

func (k *containerChecker) subPath(at path, m corev1.VolumeMount) {
	if m.SubPath != "" && m.SubPathExpr != "" {
		k.fail(at.with(key("subPathExpr")), "", "cannot be set together with subPath")
	}
	k.relative(at.with(key("subPath")), m.SubPath)
	k.relative(at.with(key("subPathExpr")), m.SubPathExpr)
}

// relative checks a path that must not leave its volume.
func (c *checker) relative(at path, p string) {
	if strings.HasPrefix(p, "/") {
		c.fail(at, "", "%q must be relative", p)
	}
	if slices.Contains(strings.Split(p, "/"), "..") {
		c.fail(at, "", "%q must not contain ..", p)
	}
}

func isTrue(b *bool) bool { return b != nil && *b }

// nearest returns the known name that is most similar to the given one.
func nearest(name string, known sets.Set[string]) string {
	best, distance := "", 1+len(name)/4
	for _, k := range sets.List(known) {
		if n := editDistance(k, name, distance); n <= distance {
			// A later name must be more similar than this one.
			best, distance = k, n-1
		}
	}
	if best == "" {
		return ""
	}
	return "did you mean " + best + "?"
}

func (k *containerChecker) security() {
	s, at := k.c.SecurityContext, k.at.with(key("securityContext"))
	if s == nil {
		return
	}
	k.id(at.with(key("runAsUser")), s.RunAsUser)
	k.id(at.with(key("runAsGroup")), s.RunAsGroup)
	if s.ProcMount != nil {
		oneOf(k.checker, at.with(key("procMount")), *s.ProcMount, corev1.DefaultProcMount, corev1.UnmaskedProcMount)
		if *s.ProcMount == corev1.UnmaskedProcMount && (k.pod.HostUsers == nil || *k.pod.HostUsers) {
			k.fail(at.with(key("procMount")), "", "Unmasked needs hostUsers: false")
		}
	}
	k.profiles(s.SeccompProfile, s.AppArmorProfile, at)
	if s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation {
		return
	}
	at = at.with(key("allowPrivilegeEscalation"))
	if isTrue(s.Privileged) {
		k.fail(at, "", "cannot be false together with privileged: true")
	}
	// A kube-apiserver refuses only this spelling; without "CAP_" it admits the pod.
	if s.Capabilities != nil && slices.Contains(s.Capabilities.Add, "CAP_SYS_ADMIN") {
		k.fail(at, "", "cannot be false together with the capability CAP_SYS_ADMIN")
	}
}
