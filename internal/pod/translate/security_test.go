package translate

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func TestContainerSecurity(t *testing.T) {
	type sc = corev1.SecurityContext
	type psc = corev1.PodSecurityContext
	named := Image{Username: "app"}
	for _, tt := range []struct {
		name string
		pod  *psc
		own  *sc
		user Image
		got  func(*cri.LinuxContainerSecurityContext) any
		want any
	}{
		{"nothing asked: unconfined", nil, nil, Image{}, seccompOf, "Unconfined "},
		{"nothing asked: may gain privileges", nil, nil, Image{}, noNewPrivs, false},
		{"nothing asked: own process namespace", nil, nil, Image{}, pidMode, "CONTAINER"},
		{"image's user", nil, nil, Image{UID: new(int64(7))}, userOf, "7 "},
		{"image's user by name", nil, nil, named, userOf, "- app"},
		{"pod's user", &psc{RunAsUser: new(int64(5))}, nil, named, userOf, "5 "},
		{"container's user wins", &psc{RunAsUser: new(int64(5))}, &sc{RunAsUser: new(int64(6))}, named, userOf, "6 "},
		{"no escalation", nil, &sc{AllowPrivilegeEscalation: new(false)}, Image{}, noNewPrivs, true},
		{"groups", &psc{FSGroup: new(int64(3)), SupplementalGroups: []int64{4, 5}}, nil, Image{}, groupsOf, []int64{3, 4, 5}},
		{"default profile", &psc{SeccompProfile: &corev1.SeccompProfile{Type: "RuntimeDefault"}}, nil, Image{}, seccompOf, "RuntimeDefault "},
		{"own profile", nil, &sc{SeccompProfile: &corev1.SeccompProfile{Type: "Localhost", LocalhostProfile: new("a/b.json")}}, Image{}, seccompOf, "Localhost /root/a/b.json"},
		{"unmasked", nil, &sc{ProcMount: new(corev1.UnmaskedProcMount)}, Image{}, masked, false},
		{"masked", nil, &sc{}, Image{}, masked, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &PodSpec{Spec: corev1.PodSpec{SecurityContext: tt.pod}}
			out, err := containerSecurity(s, Facts{SeccompRoot: "/root"}, &corev1.Container{SecurityContext: tt.own}, tt.user)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.got(out), tt.want); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func seccompOf(o *cri.LinuxContainerSecurityContext) any {
	return o.Seccomp.ProfileType.String() + " " + o.Seccomp.LocalhostRef
}
func noNewPrivs(o *cri.LinuxContainerSecurityContext) any { return o.NoNewPrivs }
func pidMode(o *cri.LinuxContainerSecurityContext) any    { return o.NamespaceOptions.Pid.String() }
func groupsOf(o *cri.LinuxContainerSecurityContext) any   { return o.SupplementalGroups }
func masked(o *cri.LinuxContainerSecurityContext) any     { return len(o.MaskedPaths) > 0 }
func userOf(o *cri.LinuxContainerSecurityContext) any {
	uid := "-"
	if o.RunAsUser != nil {
		uid = resource.NewQuantity(o.RunAsUser.Value, resource.DecimalSI).String()
	}
	return uid + " " + o.RunAsUsername
}

func TestContainerSecurityRefuses(t *testing.T) {
	type sc = corev1.SecurityContext
	nonRoot := new(true)
	for _, tt := range []struct {
		name string
		own  sc
		user Image
		want string
	}{
		{"root by number", sc{RunAsNonRoot: nonRoot, RunAsUser: new(int64)}, Image{}, "runAsUser is 0"},
		{"root of the image", sc{RunAsNonRoot: nonRoot}, Image{UID: new(int64)}, "the image runs as root"},
		{"a name of the image", sc{RunAsNonRoot: nonRoot}, Image{Username: "app"}, `"app" without a number`},
		{"profile outside", sc{SeccompProfile: &corev1.SeccompProfile{Type: "Localhost", LocalhostProfile: new("../x")}}, Image{}, "must be a path below"},
		{"unknown profile", sc{SeccompProfile: &corev1.SeccompProfile{Type: "Strange"}}, Image{}, `"Strange" is not known`},
		{"unknown AppArmor", sc{AppArmorProfile: &corev1.AppArmorProfile{Type: "Strange"}}, Image{}, `"Strange" is not known`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := containerSecurity(&PodSpec{}, Facts{SeccompRoot: "/root"}, &corev1.Container{SecurityContext: &tt.own}, tt.user)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestContainerResources(t *testing.T) {
	list := func(cpu, memory string) corev1.ResourceList {
		out := corev1.ResourceList{}
		if cpu != "" {
			out["cpu"] = resource.MustParse(cpu)
		}
		if memory != "" {
			out["memory"] = resource.MustParse(memory)
		}
		return out
	}
	const gib = 1 << 30
	for _, tt := range []struct {
		name             string
		limits, requests corev1.ResourceList
		want             *cri.LinuxContainerResources
	}{
		{"none", nil, nil, &cri.LinuxContainerResources{CpuShares: 2, CpuPeriod: 100000, OomScoreAdj: 1000}},
		{"guaranteed", list("500m", "256Mi"), nil, &cri.LinuxContainerResources{CpuShares: 512, CpuPeriod: 100000, CpuQuota: 50000, MemoryLimitInBytes: 256 << 20, OomScoreAdj: -997}},
		{"burstable by memory", list("", "2Gi"), list("", "1Gi"), &cri.LinuxContainerResources{CpuShares: 2, CpuPeriod: 100000, MemoryLimitInBytes: 2 * gib, OomScoreAdj: 750}},
		{"burstable by cpu", nil, list("2", ""), &cri.LinuxContainerResources{CpuShares: 2048, CpuPeriod: 100000, OomScoreAdj: 999}},
		{"all of the memory", nil, list("", "4Gi"), &cri.LinuxContainerResources{CpuShares: 2, CpuPeriod: 100000, OomScoreAdj: 3}},
		{"least quota", list("1m", ""), list("1m", ""), &cri.LinuxContainerResources{CpuShares: 2, CpuPeriod: 100000, CpuQuota: 1000, OomScoreAdj: 999}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := corev1.Container{Resources: corev1.ResourceRequirements{Limits: tt.limits, Requests: tt.requests}}
			got := containerResources(&corev1.PodSpec{Containers: []corev1.Container{c}}, &c, 4*gib)
			if got.String() != tt.want.String() {
				t.Errorf("got  %v\nwant %v", got, tt.want)
			}
		})
	}
}

func TestMemorySize(t *testing.T) {
	limit := func(q string) corev1.Container {
		if q == "" {
			return corev1.Container{}
		}
		return corev1.Container{Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{"memory": resource.MustParse(q)}}}
	}
	sidecar := limit("1Mi")
	sidecar.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
	for _, tt := range []struct {
		name  string
		init  []corev1.Container
		main  []corev1.Container
		limit string
		want  int64
	}{
		{"the machine's", nil, []corev1.Container{limit("")}, "", 1 << 30},
		{"own limit", nil, []corev1.Container{limit("")}, "1Mi", 1 << 20},
		{"the pod's", nil, []corev1.Container{limit("2Mi"), limit("1Mi")}, "", 3 << 20},
		{"one without a limit", nil, []corev1.Container{limit("2Mi"), limit("")}, "", 1 << 30},
		{"a large init container", []corev1.Container{limit("5Mi")}, []corev1.Container{limit("2Mi")}, "", 5 << 20},
		{"a sidecar", []corev1.Container{sidecar}, []corev1.Container{limit("2Mi")}, "", 3 << 20},
		{"own limit above the pod's", nil, []corev1.Container{limit("2Mi")}, "4Mi", 2 << 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := &corev1.EmptyDirVolumeSource{}
			if tt.limit != "" {
				src.SizeLimit = new(resource.MustParse(tt.limit))
			}
			spec := &corev1.PodSpec{InitContainers: tt.init, Containers: tt.main}
			if got := memorySize(spec, src, 1<<30); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}
