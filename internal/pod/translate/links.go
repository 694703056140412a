package translate

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// ServiceVariables adds the environment variables of a Service at an address, as a
// kubelet makes them (k8s.io/kubernetes/pkg/kubelet/envvars).
func ServiceVariables(out map[string]string, name, address string, ports []corev1.ServicePort) {
	prefix := variableName(name)
	out[prefix+"_SERVICE_HOST"] = address
	for i, p := range ports {
		port, protocol := strconv.Itoa(int(p.Port)), string(p.Protocol)
		to := strings.ToLower(protocol) + "://" + address + ":" + port
		if i == 0 {
			out[prefix+"_SERVICE_PORT"], out[prefix+"_PORT"] = port, to
		}
		if p.Name != "" {
			out[prefix+"_SERVICE_PORT_"+variableName(p.Name)] = port
		}
		link := fmt.Sprintf("%s_PORT_%s_%s", prefix, port, strings.ToUpper(protocol))
		out[link], out[link+"_PROTO"], out[link+"_PORT"], out[link+"_ADDR"] = to, strings.ToLower(protocol), port, address
	}
}

func variableName(name string) string { return strings.ToUpper(strings.ReplaceAll(name, "-", "_")) }
