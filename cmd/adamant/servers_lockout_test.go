package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/adamant-sh/adamant/test/sshd"
)

// A lockout is a change after which a server cannot be reached, or that leaves something
// that an undo must take back. MACHINE is the address from which it is reached.
type lockout struct{ area, name, command string }

// lockouts are the combinations of ways to lose a server: each unit operation for the
// units that a login needs, each place of the network and the firewall that can drop its
// packets, each file and account that sshd and PAM check.
func lockouts() (list []lockout) {
	add := func(area, name, command string) { list = append(list, lockout{area, name, command}) }
	for _, verb := range []string{"stop", "disable --now", "mask --now", "freeze", "kill --signal=STOP"} {
		add("unit", "systemctl "+verb+" ssh", "systemctl "+verb+" ssh")
	}
	add("unit", "killed", "pkill -KILL -o -x sshd; systemctl stop ssh")
	add("unit", "stopped again and again", "systemctl stop ssh; while sleep .2; do systemctl stop ssh; done >/dev/null 2>&1 </dev/null &")
	add("unit", "stopped by a timer", "systemd-run --on-active=1 --on-unit-active=1 systemctl stop ssh; sleep 1.5")
	add("unit", "stopped by a drop-in", "mkdir -p /run/systemd/system/ssh.service.d; printf '[Service]\nExecStart=\nExecStart=/bin/sleep 1d\n' >/run/systemd/system/ssh.service.d/x.conf; systemctl daemon-reload; systemctl restart ssh || true")
	add("unit", "another port", "echo Port 2222 >/etc/ssh/sshd_config.d/00.conf; systemctl restart ssh")
	add("unit", "broken configuration", "echo Nonsense yes >>/etc/ssh/sshd_config; systemctl restart ssh || true")
	add("unit", "nobody may log in", "echo DenyUsers '*' >/etc/ssh/sshd_config.d/0.conf; systemctl reload ssh")
	add("unit", "killed session", "loginctl terminate-user root; systemctl stop user.slice ssh")

	add("network", "link down", "ip link set eth0 down")
	add("network", "link renamed", "ip link set eth0 down; ip link set eth0 name lan0; systemctl stop ssh")
	add("network", "another MAC", "ip link set eth0 down; ip link set eth0 address 02:00:00:00:99:99; ip link set eth0 up; ip address flush dev eth0")
	add("network", "in a bridge", "ip link add br0 type bridge; ip link set br0 up; ip link set eth0 master br0; ip link set br0 down")
	add("network", "no address", "ip address flush dev eth0")
	add("network", "no default route and no link route", "ip route flush dev eth0")
	add("network", "no local table", "ip route flush table local")
	for _, kind := range []string{"blackhole", "unreachable", "prohibit"} {
		add("network", "ip route "+kind, "ip route add "+kind+" MACHINE/32")
	}
	add("network", "ip rule prohibit", "ip rule add priority 10 from all to MACHINE prohibit")
	add("network", "ip rule to another table", "ip route add blackhole default table 77; ip rule add priority 5 from all lookup 77; ip rule delete priority 32766")
	add("network", "wrong neighbour", "ip neighbour replace MACHINE lladdr 02:00:00:00:77:77 dev eth0 nud permanent")
	add("network", "every packet lost", "tc qdisc add dev eth0 root netem loss 100% || tc qdisc replace dev eth0 root tbf rate 8bit burst 10 latency 1ms")
	add("network", "added only", "ip -6 address add fd00::5/64 dev eth0; ip -6 route add fd01::/64 dev eth0; ip route add 203.0.113.0/24 dev eth0; ip address add 10.7.7.7/24 dev eth0; ip link set eth0 down")

	for _, hook := range []string{"input", "output", "prerouting"} {
		add("firewall", "nft "+hook, "nft add table inet f; nft add chain inet f i '{ type filter hook "+hook+" priority 0; policy drop; }'")
	}
	add("firewall", "nft beside iptables", "nft add table ip g; nft add chain ip g i '{ type filter hook input priority -5; policy drop; }'; iptables -F")
	for _, program := range []string{"iptables", "iptables-legacy"} {
		add("firewall", program+" -P", program+" -P INPUT DROP")
		for _, table := range []string{"raw -A PREROUTING", "mangle -A POSTROUTING", "filter -I INPUT"} {
			add("firewall", program+" "+table, program+" -t "+table+" -p tcp -j DROP")
		}
	}
	add("firewall", "no rules at all", "nft flush ruleset; nft add table ip x; nft add chain ip x o '{ type filter hook output priority 0; policy drop; }'")

	add("account", "no shell", "usermod -s /bin/false root")
	add("account", "expired", "chage -E 0 root; chage -E 0 ops")
	add("account", "keys removed", "rm -f /etc/ssh/authorized_keys")
	add("account", "PAM denies", "for f in sshd common-account; do echo 'account requisite pam_deny.so' >/etc/pam.d/$f; done")
	add("account", "nologin", "echo closed >/etc/nologin; echo closed >/run/nologin; systemctl stop ssh")
	add("account", "root directory writable for all", "chmod 777 / /etc /etc/ssh")
	add("account", "shell not executable", "chmod -x /bin/bash /bin/dash")

	add("account", "no PAM modules", "rm -rf /lib/*/security /usr/sbin/sshd; systemctl restart ssh || true")
	add("account", "no shell program", "mv /bin/bash /bin/bash.gone; ln -s bash.gone /bin/b; rm /bin/b")

	add("disk", "hidden configuration", "mount -t tmpfs tmpfs /etc/ssh; systemctl restart ssh || true")
	add("disk", "read-only root", "systemctl stop ssh; mount -o remount,ro /")
	add("disk", "no device nodes", "rm -f /dev/null /dev/ptmx /dev/urandom; chmod 0 /dev")
	add("disk", "no privilege separation directory", "systemctl stop ssh; rm -rf /run/sshd; systemctl mask --runtime ssh")
	add("disk", "full", "ip link set eth0 down; dd if=/dev/zero of=/var/fill bs=1M 2>/dev/null; dd if=/dev/zero of=/var/fill2 bs=1 count=4096 2>/dev/null; true")

	add("kernel", "no answers to ARP", "echo 8 >/proc/sys/net/ipv4/conf/all/arp_ignore; echo 8 >/proc/sys/net/ipv4/conf/eth0/arp_ignore; ip link set eth0 down")
	add("kernel", "no IPv6", "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; ip link set eth0 down")
	add("kernel", "another host name", "hostname lost; ip link set lo down; ip link set eth0 down")

	add("boot", "restarted without sshd", "systemctl disable ssh; systemctl mask ssh; systemctl reboot; sleep 60")
	add("boot", "restarted with a firewall", "printf '#!/usr/sbin/nft -f\nflush ruleset\ntable inet f { chain i { type filter hook input priority 0; policy drop; } }\n' >/etc/nftables.conf; systemctl enable nftables; systemctl reboot; sleep 60")
	add("boot", "killed process", "systemctl stop ssh; pkill -KILL -f 'servers change'; sleep 60")
	return list
}

// serverState prints everything on which the reachability of a server depends, without
// what changes by itself.
const serverState = `
ip -o link | sed 's/state [A-Z]*//; s/<[^>]*>/&/' | sed 's/,LOWER_UP//; s/^[0-9]*: //; s/@if[0-9]*//; s/link-netnsid.*//'
ip -o address | awk '{print $2, $3, $4}' | grep -v fe80 | sort
for f in 4 6; do ip -$f rule; ip -$f route show table all | grep -v fe80 | sed 's/ linkdown//; s/ expires.*//' | sort; done
ip neighbour show nud permanent; tc qdisc show dev eth0
nft list tables | sort | while read -r t; do nft -s list $t; done; for p in iptables ip6tables; do $p-legacy-save 2>/dev/null | sed '/^#/d; s/\[.*\]//' | grep -v ACCEPT | grep -v '^[*C]'; done
systemctl list-units --all --plain --no-legend --type=service,socket,timer | awk '$3 == "active" && $4 != "exited" {print $1, $3}' | grep -Ev 'adamant|user|session|systemd-(hostnamed|logind|tmpfiles)|dbus|getty'
systemctl list-unit-files --no-legend | awk '{print $1, $2}' | grep -E 'ssh|nftables|recover'
find /etc /root /dev /lib/x86_64-linux-gnu/security /usr/sbin /bin/bash -path /dev/pts -prune -o -path /dev/shm -prune -o -path /root/.cache -prune -o -name '*-' -prune -o -printf '%p %y %m %u %l\n' | sort
cat /etc/passwd /etc/shadow /etc/pam.d/sshd /etc/ssh/sshd_config
stat -c '%n %a %u' / /bin/bash /bin/dash; ls -d /run/sshd; ls /run/nologin 2>&1; hostname
awk '{print $5, $6}' /proc/self/mountinfo | grep -v '^/run/\(user\|cred\)' | sort
grep . /proc/sys/net/ipv4/conf/eth0/arp_ignore /proc/sys/net/ipv4/conf/all/arp_ignore /proc/sys/net/ipv6/conf/all/disable_ipv6
true
`

// After each change that locks out, the server takes it back and is as it was, and
// accepts logins.
func TestLockouts(t *testing.T) {
	t.Parallel()
	const servers = 6
	l := sshd.Open(t, "systemd", "dbus", "nftables", "iptables")
	s := &site{lab: l}
	client := &siteClient{s, t, filepath.Join(openLab(t).bin, "adamant"), t.TempDir()}
	for i := range servers {
		s.servers = append(s.servers, l.Start(fmt.Sprintf("web-%d", i+1), sshd.Options{Systemd: true, Reboots: true, DiskSize: "400m"}))
	}
	check(t, l.WriteHome(client.dir, s.servers))
	var hosts strings.Builder
	for _, srv := range s.servers {
		fmt.Fprintf(&hosts, "%s ansible_host=%s ansible_user=root\n", srv.Name, srv.Addr)
	}
	check(t, os.WriteFile(filepath.Join(client.dir, "hosts.ini"), []byte(hosts.String()), 0o600))
	all := make(chan lockout)
	var workers sync.WaitGroup
	for _, srv := range s.servers {
		workers.Go(func() {
			prepareRules(srv)
			for c := range all {
				ok := t.Run(c.area+"/"+c.name, func(t *testing.T) { c.test(t, client, srv) })
				if !ok { // a lost server fails all others
					srv.Reboot()
					prepareRules(srv)
				}
			}
		})
	}
	cases := lockouts()
	if len(cases) < 40 {
		t.Errorf("got %d lock-outs, want at least 40", len(cases))
	}
	for _, c := range cases {
		all <- c
	}
	close(all)
	workers.Wait()
}

// prepareRules gives a server rules of each kind of firewall, because an undo must not
// depend on which one is in use.
func prepareRules(srv *sshd.Server) {
	srv.Exec("sh", "-c", `iptables -A INPUT -p tcp --dport 9999 -j ACCEPT
iptables-legacy -A INPUT -p tcp --dport 9998 -j ACCEPT
nft add table inet own; nft add chain inet own in '{ type filter hook input priority 0; policy accept; }'; nft add rule inet own in tcp dport 9997 accept
ip route add 198.51.100.0/24 dev eth0 table 42; ip rule add priority 1000 from all fwmark 7 lookup 42`)
}

func (c lockout) test(t *testing.T, client *siteClient, srv *sshd.Server) {
	before := srv.Exec("sh", "-c", serverState)
	command := strings.ReplaceAll(c.command, "MACHINE", client.lab.MachineAddr())
	got := client.run("update", srv.Name, "-o", "json", "--confirm", "3s", "--run", command)
	if got.code != 8 && got.code != 7 || !strings.Contains(got.out, `"reverted"`) {
		t.Errorf("exit code %d, want 8 (rolled back)\n%s%s", got.code, got.out, got.err)
	}
	var err error
	for range 20 {
		if err = logIn(srv, client.lab.Key); err == nil {
			break
		}
		time.Sleep(500 * time.Millisecond)
	}
	if err != nil {
		t.Errorf("the server is lost: %v", err)
	}
	if err != nil {
		t.FailNow() // nothing can be asked of it
	}
	srv.Exec("rm", "-f", "/var/fill", "/var/fill2")
	if diff := cmp.Diff(strings.Split(srv.Exec("sh", "-c", serverState), "\n"), strings.Split(before, "\n")); diff != "" {
		t.Errorf("not as it was (- now, + before), and the report is\n%s\n%s", got.out, diff)
	}
}

// logIn opens an SSH connection to a server and runs a command.
func logIn(srv *sshd.Server, key ssh.Signer) error {
	conn, err := ssh.Dial("tcp", net.JoinHostPort(srv.Addr, fmt.Sprint(srv.Port)), &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: 5 * time.Second,
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	session, err := conn.NewSession()
	if err != nil {
		return err
	}
	defer session.Close()
	return session.Run("true")
}
