package pod

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// hostsFile is what a pod has in /etc/hosts, byte for byte as a kubelet
// writes it. machine is the machine's own file, for a pod on its network.
func hostsFile(s *PodSpec, ips []string, machine []byte) []byte {
	var b bytes.Buffer
	if s.Spec.HostNetwork {
		b.WriteString("# Kubernetes-managed hosts file (host network).\n")
		b.Write(machine)
	} else {
		b.WriteString("# Kubernetes-managed hosts file.\n" +
			"127.0.0.1\tlocalhost\n" +
			"::1\tlocalhost ip6-localhost ip6-loopback\n" +
			"fe00::0\tip6-localnet\n" +
			"fe00::0\tip6-mcastprefix\n" +
			"fe00::1\tip6-allnodes\n" +
			"fe00::2\tip6-allrouters\n")
		names, domain := hostAndDomain(s)
		if domain != "" {
			names = names + "." + domain + "\t" + names
		}
		for _, ip := range ips {
			fmt.Fprintf(&b, "%s\t%s\n", ip, names)
		}
	}
	writeAliases(&b, s.Spec.HostAliases)
	return b.Bytes()
}

func writeAliases(b *bytes.Buffer, aliases []corev1.HostAlias) {
	if len(aliases) == 0 {
		return
	}
	b.WriteString("\n# Entries added by HostAliases.\n")
	for _, a := range aliases {
		fmt.Fprintf(b, "%s\t%s\n", a.IP, strings.Join(a.Hostnames, "\t"))
	}
}

// writeHosts writes a pod's /etc/hosts. The file stays the same inode: it may
// be mounted already.
func writeHosts(l layout, s *PodSpec, ips []string) error {
	var machine []byte
	if s.Spec.HostNetwork {
		var err error
		if machine, err = os.ReadFile("/etc/hosts"); err != nil {
			return err
		}
	}
	if err := os.WriteFile(l.etcHosts(), hostsFile(s, ips, machine), 0o644); err != nil {
		return err
	}
	return os.Chmod(l.etcHosts(), 0o644)
}
