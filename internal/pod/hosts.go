package pod

import (
	"os"

	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// writeHosts writes a pod's /etc/hosts. It does not replace the file, because the
// inode may already be mounted in containers.
func writeHosts(l layout, s *PodSpec, ips []string) error {
	var machine []byte
	if s.Spec.HostNetwork {
		var err error
		if machine, err = os.ReadFile("/etc/hosts"); err != nil {
			return err
		}
	}
	if err := os.WriteFile(l.EtcHosts(), translate.HostsFile(s, ips, machine), 0o644); err != nil {
		return err
	}
	return os.Chmod(l.EtcHosts(), 0o644)
}
