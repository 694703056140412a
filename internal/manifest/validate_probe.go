package manifest

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
)

func (k *containerChecker) probes() {
	for _, p := range []struct {
		name  string
		probe *corev1.Probe
	}{{"livenessProbe", k.c.LivenessProbe}, {"readinessProbe", k.c.ReadinessProbe}, {"startupProbe", k.c.StartupProbe}} {
		if p.probe == nil {
			continue
		}
		at := k.at.with(key(p.name))
		if k.init && !k.sidecar {
			k.fail(at, "", "only for init containers with restartPolicy: Always")
		}
		k.probe(p.probe, at, p.name)
	}
	l := k.c.Lifecycle
	if l == nil {
		return
	}
	if k.init && !k.sidecar {
		k.fail(k.at.with(key("lifecycle")), "", "only for init containers with restartPolicy: Always")
	}
	if l.PostStart != nil {
		k.hook(l.PostStart, k.at.with(key("lifecycle"), key("postStart")))
	}
	if l.PreStop != nil {
		k.hook(l.PreStop, k.at.with(key("lifecycle"), key("preStop")))
	}
}

func (k *containerChecker) probe(p *corev1.Probe, at path, name string) {
	k.handler(at, handler{exec: p.Exec, http: p.HTTPGet, tcp: p.TCPSocket, grpc: p.GRPC})
	for _, f := range []struct {
		name  string
		value int32
	}{
		{"initialDelaySeconds", p.InitialDelaySeconds}, {"timeoutSeconds", p.TimeoutSeconds},
		{"periodSeconds", p.PeriodSeconds}, {"successThreshold", p.SuccessThreshold}, {"failureThreshold", p.FailureThreshold},
	} {
		k.notNegative(at.with(key(f.name)), int64(f.value))
	}
	if name != "readinessProbe" && p.SuccessThreshold != 1 {
		k.fail(at.with(key("successThreshold")), "", "must be 1 for a %s", name)
	}
	if g := p.TerminationGracePeriodSeconds; g != nil {
		at := at.with(key("terminationGracePeriodSeconds"))
		if name == "readinessProbe" {
			k.fail(at, "", "not for a readinessProbe, which ends nothing")
		} else if *g < 1 {
			k.fail(at, "", "must be at least 1")
		}
	}
}

func (k *containerChecker) hook(h *corev1.LifecycleHandler, at path) {
	k.handler(at, handler{exec: h.Exec, http: h.HTTPGet, tcp: h.TCPSocket, sleep: h.Sleep})
}

// A handler is the action of a probe or a hook. Exactly one field is set.
type handler struct {
	exec  *corev1.ExecAction
	http  *corev1.HTTPGetAction
	tcp   *corev1.TCPSocketAction
	grpc  *corev1.GRPCAction
	sleep *corev1.SleepAction
}

func (k *containerChecker) handler(at path, h handler) {
	set := 0
	if h.exec != nil {
		set++
		if len(h.exec.Command) == 0 {
			k.fail(at.with(key("exec"), key("command")), "", "required")
		}
	}
	if h.http != nil {
		set++
		at := at.with(key("httpGet"))
		k.portRef(at.with(key("port")), h.http.Port)
		oneOf(k.checker, at.with(key("scheme")), h.http.Scheme, corev1.URISchemeHTTP, corev1.URISchemeHTTPS)
		for i, header := range h.http.HTTPHeaders {
			k.name(at.with(key("httpHeaders"), item(i), key("name")), header.Name, validation.IsHTTPHeaderName(header.Name))
		}
	}
	if h.tcp != nil {
		set++
		k.portRef(at.with(key("tcpSocket"), key("port")), h.tcp.Port)
	}
	if h.grpc != nil {
		set++
		k.port(at.with(key("grpc"), key("port")), h.grpc.Port)
	}
	if h.sleep != nil {
		set++
		k.notNegative(at.with(key("sleep"), key("seconds")), h.sleep.Seconds)
		if grace := *k.pod.TerminationGracePeriodSeconds; h.sleep.Seconds > grace {
			k.fail(at.with(key("sleep"), key("seconds")), "", "%d is more than terminationGracePeriodSeconds, %d", h.sleep.Seconds, grace)
		}
	}
	if set != 1 {
		k.fail(at, "", "exactly one action must be set, not %d", set)
	}
}

// portRef checks a port that is given by number or by the name of one of the
// container's ports. A kube-apiserver does not look up the name, so that the
// probe would always fail.
func (k *containerChecker) portRef(at path, port intstr.IntOrString) {
	if port.Type == intstr.Int {
		if port.IntVal == 0 {
			k.fail(at, "", "required")
			return
		}
		k.port(at, port.IntVal)
		return
	}
	for _, p := range k.c.Ports {
		if p.Name == port.StrVal {
			return
		}
	}
	hint := ""
	if isDigits(port.StrVal) && port.StrVal != "" {
		hint = "write " + port.StrVal + " without quotes"
	}
	k.fail(at, hint, "the container has no port named %q", port.StrVal)
}
