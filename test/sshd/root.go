package sshd

import (
	"strings"

	"github.com/adamant-sh/adamant/test/appimage"
)

// The passwords of the users that have one.
const (
	AdminPassword = "correct horse battery staple"
	GuestPassword = "guest's own $pass"
)

// system is the shared system of all servers: OpenSSH, sudo, and the users.
// Each server has its own host keys.
func system(packages []string) appimage.App {
	return appimage.App{
		Name:     strings.Join(append([]string{"sshd-lab"}, packages...), "-"),
		Packages: append([]string{"openssh-server", "sudo", "iproute2", "procps"}, packages...),
		Files: map[string]string{
			"/etc/sudoers.d/lab": "admin ALL=(ALL:ALL) ALL\nops ALL=(ALL:ALL) NOPASSWD: ALL\n",
			"/etc/ssh/sshd_config.d/lab.conf": "UseDNS no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n" +
				"MaxStartups 100\nMaxSessions 100\n",
		},
		Setup: `for user in admin ops guest; do
	useradd --create-home --shell /bin/bash "$user"
done
chpasswd -c SHA512 <<'END'
admin:` + AdminPassword + `
guest:` + GuestPassword + `
END
chmod 0440 /etc/sudoers.d/lab
rm -f /etc/ssh/ssh_host_* /etc/machine-id
mkdir -p /sys /proc /run /dev
`,
	}
}
