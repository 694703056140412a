package capture

import (
	"path"
	"slices"
	"strings"
)

// skippedUnits are units that make no sense in a container, see isUnitOf.
var skippedUnits = []struct {
	class string
	names []string
}{
	{"login", []string{"getty", "serial-getty", "console-getty", "autovt", "container-getty", "ssh", "sshd", "user@", "display-manager"}},
	{"systemd", []string{"systemd-", "dbus", "polkit", "udev", "rc-local", "emergency", "rescue"}},
	{"network", []string{
		"networking", "network", "NetworkManager", "ifup", "ifplugd", "wpa_supplicant", "dhcpcd", "resolvconf", "netplan", "nftables", "iptables",
		"netfilter", "ufw", "firewalld", "fail2ban", "rpcbind", "avahi", "ModemManager", "bluetooth", "netavark",
	}},
	{"clock", []string{"chrony", "ntp", "ntpd", "ntpsec", "openntpd"}},
	{"log", []string{"rsyslog", "syslog", "auditd", "logrotate"}},
	{"schedule", []string{"cron", "crond", "atd", "anacron"}},
	{"hardware", []string{
		"keyboard-setup", "console-setup", "smartmontools", "smartd", "irqbalance", "acpid", "lvm2", "mdadm", "mdmonitor", "multipath", "iscsi",
		"open-iscsi", "fstrim", "thermald", "fwupd", "hwclock", "lm-sensors", "blk-availability", "dm-event", "zfs", "qemu-guest-agent",
		"open-vm-tools", "vgauth", "hyperv", "kdump", "grub-common", "apparmor", "setvtrgb", "haveged", "rng-tools", "kmod", "procps",
	}},
	{"upkeep", []string{
		"apt-daily", "unattended-upgrades", "e2scrub", "dpkg-db-backup", "man-db", "snapd", "cloud-init", "cloud-config", "cloud-final", "apport",
		"motd-news", "packagekit", "pollinate", "ubuntu-advantage", "secureboot-db", "plymouth", "sysstat", "x11-common", "remote-fs", "nfs-client",
	}},
	{"containers", []string{"containerd", "docker", "podman", "kubelet", "crio", "lxc", "lxd", "libvirtd"}},
}

// skippedClass returns the class of a unit that is skipped because of its name,
// empty if it is not skipped.
func skippedClass(name string) string {
	switch path.Ext(name) {
	case ".timer":
		return "timer"
	case ".service":
	default:
		return "not a service"
	}
	stem := strings.TrimSuffix(name, ".service")
	for _, s := range skippedUnits {
		if slices.ContainsFunc(s.names, func(n string) bool { return isUnitOf(stem, n) }) {
			return s.class
		}
	}
	return ""
}

// isUnitOf reports whether a unit has a name, is an instance of it, or has one of
// the known suffixes: "dbus", "getty@tty1", "cloud-init-local". A plain prefix is
// not enough: "docker-registry" does not belong to "docker".
func isUnitOf(stem, name string) bool {
	rest, ok := strings.CutPrefix(stem, name)
	switch {
	case !ok:
		return false
	case rest == "" || rest[0] == '@', strings.HasSuffix(name, "-"), strings.HasSuffix(name, "@"):
		return true
	}
	return slices.Contains([]string{
		"-local", "-wait-online", "-dispatcher", "-daemon", "-lvmpolld", "-monitor", "-mount", "-zed", "-persistent", "-upgrade", "-reap", "d",
		"-server", "-sysstat", "_reap", "_all",
	}, rest)
}
