package inventory_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/servers/inventory"
)

// way returns hosts as user@address:port, the jumps first.
func way(h inventory.Host) string {
	var all []string
	for _, j := range h.ProxyJump {
		all = append(all, fmt.Sprintf("%s@%s:%d", j.User, j.Address, j.Port))
	}
	return strings.Join(append(all, fmt.Sprintf("%s@%s:%d", h.User, h.Address, h.Port)), " ")
}

func TestSSHConfig(t *testing.T) {
	for _, tt := range []struct {
		name, config, host, want string
	}{
		{"nothing", "", "h.example.org", "me@h.example.org:22"},
		{"an alias", "Host h\n HostName 192.0.2.7\n User u\n Port 23\n", "h", "u@192.0.2.7:23"},
		{"the first value wins", "Host h\nPort 23\nHost *\nPort 24\nUser u\n", "h", "u@h:23"},
		{"before any Host", "Port=23\nHost h\nPort 24\n", "h", "me@h:23"},
		{"equals signs, quotes and case", "host = \"h\"\npOrT=\"23\" # why\n", "h", "me@h:23"},
		{"wildcards", "Host h?\nPort 23\nHost *.eu\nPort 24\n", "h1", "me@h1:23"},
		{"? is one character", "Host h?\nPort 23\n", "h", "me@h:22"},
		{"a negated one", "Host * !h\nPort 23\n", "h", "me@h:22"},
		{"a token", "Host h\nHostName %h.example.org\n", "h", "me@h.example.org:22"},
		{"Match all", "Host x\nMatch all\nPort 23\n", "h", "me@h:23"},
		{"Match host is about HostName", "Host h\nHostName H.eu\nMatch host *.eu,x\nPort 23\n", "h", "me@H.eu:23"},
		{"Match originalhost", "Host h\nHostName h.eu\nMatch originalhost h\nPort 23\n", "h", "me@h.eu:23"},
		{"Match, negated", "Match !host h\nPort 23\n", "h", "me@h:22"},
		{"Match user", "Host h\nUser u\nMatch host h user u localuser=me\nPort 23\n", "h", "u@h:23"},
		{"Match final comes last", "Match final all\nPort 23\nUser late\nHost h\nPort 24\n", "h", "late@h:24"},
		{"Match that is not supported, for others", "Match host x exec true\nPort 23\n", "h", "me@h:22"},
		{"a jump", "Host h\nProxyJump j\nHost j\nHostName 192.0.2.1\nPort 23\nUser ju\n", "h", "ju@192.0.2.1:23 me@h:22"},
		{"a jump says more", "Host h\nProxyJump a@j:24\nHost j\nPort 23\nUser ju\n", "h", "a@j:24 me@h:22"},
		{"jumps", "Host h\nProxyJump a,b:24,ssh://c@d:25\n", "h", "me@a:22 me@b:24 c@d:25 me@h:22"},
		{"a jump with a jump", "Host h\nProxyJump j\nHost j\nProxyJump k\n", "h", "me@k:22 me@j:22 me@h:22"},
		{"none for the jump itself", "Host j\nProxyJump none\nHost *\nProxyJump j\n", "h", "me@j:22 me@h:22"},
		{"a command that is a jump", "Host h\nProxyCommand ssh -q -W %h:%p -p 23 u@j\n", "h", "u@j:23 me@h:22"},
		{"one with brackets", "Host h\nProxyCommand exec /usr/bin/ssh u@j -W [%h]:%p\n", "h", "u@j:22 me@h:22"},
		{"the first of the two wins", "Host h\nProxyJump none\nProxyCommand nc %h %p\n", "h", "me@h:22"},
		{"an IPv6 jump", "Host h\nProxyJump u@[2001:db8::1]:23\n", "h", "u@2001:db8::1:23 me@h:22"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			hosts, err := files{"config": tt.config}.selectAll(t, "", tt.host)
			if err != nil {
				t.Fatal(err)
			}
			if got := way(hosts[0]); got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestSSHConfigRefused(t *testing.T) {
	for _, tt := range []struct {
		name, config, want string
	}{
		{"Match exec", "Match exec true\n", "config:1: Match exec is not supported (write Host, or Match all"},
		{"a command", "Host h\nProxyCommand nc %h %p\n", "config:2: ProxyCommand other than ssh -W is not run (write ProxyJump"},
		{"a jump through itself", "Host *\nProxyJump j\n", `config:2: the way to "j" leads through itself (write ProxyJump none in a Host section for it)`},
		{"no known hosts", "UserKnownHostsFile /dev/null\n", "config:1: UserKnownHostsFile=/dev/null: host keys are always verified"},
		{"canonical names", "CanonicalizeHostname yes\n", "config:1: CanonicalizeHostname is not supported (write HostName)"},
		{"a port", "Port x\n", `config:1: "x" is no port`},
		{"a time", "ConnectTimeout 99999999999999999999w\n", "config:1: ConnectTimeout: "},
		{"a token", "IdentityFile %Z\n", `config:1: %Z in "%Z" is not supported here (write it out)`},
		{"a variable", "IdentityFile ${NOT_SET_AT_ALL}\n", `config:1: there is no environment variable "NOT_SET_AT_ALL" (set it`},
		{"no value", "Port\n", "config:1: Port: no value"},
		{"a Host for nobody", "Host\n", "config:1: Host: no value"},
		{"an open quote", "User \"u\n", "config:1: User: no value"},
		{"a password in a jump", "ProxyJump u:hunter2@j\n", `config:1: a password in the destination of "j"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := files{"config": tt.config}.selectAll(t, "", "h")
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestAllFields(t *testing.T) {
	t.Setenv("KEYS", "/keys")
	f := files{
		"config": `
Host 192.0.2.9
  IdentityFile ~/.ssh/second
  IdentityFile "${KEYS}/%r on %h"
  IdentitiesOnly yes
  HostKeyAlias shop
  UserKnownHostsFile ~/.ssh/shops /etc/shops
  ConnectTimeout 1m30s
  StrictHostKeyChecking no
  Port 24
  ProxyJump gate
Host gate
  IdentityFile ~/gate
`,
		"h": "[g]\nshop ansible_host=192.0.2.9 ansible_user=u ansible_ssh_private_key_file=~/first ansible_password=pw\n",
	}
	inv, dir, err := f.load(t, "h")
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := mustSelect(inv, "shop")
	if err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "home")
	known := []string{filepath.Join(home, ".ssh/known_hosts"), filepath.Join(home, ".ssh/known_hosts2")}
	config := func(line int) inventory.Origin {
		return inventory.Origin{File: filepath.Join(dir, "config"), Line: line}
	}
	said := inventory.Origin{File: filepath.Join(dir, "h"), Line: 2}
	want := inventory.Host{
		Name: "shop", Address: "192.0.2.9", Port: 24, User: "u", Password: inventory.NewSecret("pw"),
		IdentityFiles:  []string{filepath.Join(home, "first"), filepath.Join(home, ".ssh/second"), "/keys/u on 192.0.2.9"},
		IdentitiesOnly: true, HostKeyAlias: "shop", ConnectTimeout: 90 * time.Second,
		UserKnownHosts: []string{filepath.Join(home, ".ssh/shops"), "/etc/shops"},
		ProxyJump: []inventory.Jump{{Name: "gate", Address: "gate", Port: 22, User: "me", ConnectTimeout: inventory.DefaultConnectTimeout,
			IdentityFiles: []string{filepath.Join(home, "gate")}, UserKnownHosts: known, Origin: config(11)}},
		Become: inventory.Become{User: "root"}, Groups: []string{"g"}, Origin: said,
		From: map[string]inventory.Origin{
			"Address": said, "User": said, "IdentityFiles": said, "Password": said, "Port": config(10), "IdentitiesOnly": config(5),
			"HostKeyAlias": config(6), "UserKnownHosts": config(7), "ConnectTimeout": config(8), "ProxyJump": config(11),
		},
	}
	if diff := cmp.Diff(hosts[0], want); diff != "" {
		t.Error("got, want:\n", diff)
	}
}

// Arguments for ssh in an inventory have the meaning that they have for ssh.
func TestArguments(t *testing.T) {
	for _, tt := range []struct{ ini, want string }{
		{"h ansible_ssh_common_args='-J u@j:23'", "u@j:23 me@h:22"},
		{"h ansible_ssh_extra_args='-o ProxyJump=j,k'", "me@j:22 me@k:22 me@h:22"},
		{`h ansible_ssh_common_args='-o ProxyCommand="ssh -W %h:%p -q u@j"'`, "u@j:22 me@h:22"},
		{"h ansible_ssh_common_args='-o Port=23 -oUser=u -C -4q -o ControlMaster=auto -o ControlPersist=60s -F'", ""},
		{"h ansible_ssh_common_args='-o Port=23 -oUser=u -C -4q -o ControlMaster=auto -o ControlPersist=60s'", "u@h:23"},
		{"h ansible_ssh_args='-p 23 -l u' ansible_port=24 ansible_user=v", "u@h:23"},
		{"h ansible_ssh_extra_args='-o Port=25' ansible_port=24", "me@h:24"},
		{"h ansible_ssh_common_args='-o \"Port 23\"'", "me@h:23"},
	} {
		hosts, err := files{"h": tt.ini}.selectAll(t, "h")
		if (err != nil) != (tt.want == "") {
			t.Errorf("%s: %v", tt.ini, err)
		} else if err == nil && way(hosts[0]) != tt.want {
			t.Errorf("%s: got %s, want %s", tt.ini, way(hosts[0]), tt.want)
		}
	}
	const ini = "h ansible_private_key_file=b ansible_ssh_args='-i a' ansible_ssh_common_args='-o IdentityFile=c -o IdentitiesOnly=yes -o ConnectTimeout=7 -o HostKeyAlias=x -o UserKnownHostsFile=/k'"
	hosts, err := files{"h": ini}.selectAll(t, "h")
	if err != nil {
		t.Fatal(err)
	}
	h := hosts[0]
	if got := fmt.Sprintln(h.IdentityFiles, h.IdentitiesOnly, h.ConnectTimeout, h.HostKeyAlias, h.UserKnownHosts); got != "[a b c] true 7s x [/k]\n" {
		t.Errorf("got %s", got)
	}
}

// Includes are relative to ~/.ssh, and count only at their place.
func TestInclude(t *testing.T) {
	f := files{
		"config":            "Host h\nInclude only-h more-*\nHost *\nPort 29\n",
		"home/.ssh/only-h":  "User u\nHost g\nUser nobody\n",
		"home/.ssh/more-1":  "Port 23\n",
		"home/.ssh/more-2":  "Port 24\nInclude ~/deeper\n",
		"home/deeper":       "HostKeyAlias deep\n",
		"home/.ssh/other-1": "Port 1\n",
	}
	inv := f.mustLoad(t)
	hosts, err := mustSelect(inv, "h", "g")
	if err != nil {
		t.Fatal(err)
	}
	if got := way(hosts[0]) + " " + hosts[0].HostKeyAlias + " " + way(hosts[1]); got != "u@h:23 deep me@g:29" {
		t.Errorf("got %s", got)
	}
	f["home/.ssh/only-h"] = "Include only-h\n"
	if _, _, err := f.load(t); err == nil || !strings.Contains(err.Error(), "only-h:1: files are included more than") {
		t.Errorf("got %v", err)
	}
}

func TestWhichConfig(t *testing.T) {
	f := files{"home/.ssh/config": "Host only-here\nPort 23\n"}
	home := filepath.Join(f.write(t), "home")
	o := inventory.Options{Home: home, User: "me"}
	inv, err := inventory.Load(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if hosts, err := mustSelect(inv, "only-here"); err != nil || hosts[0].Port != 23 {
		t.Errorf("got %v, %v", hosts, err)
	}
	if err := os.Chmod(filepath.Join(home, ".ssh/config"), 0o622); err != nil {
		t.Fatal(err)
	}
	if _, err := inventory.Load(t.Context(), o); err == nil || !strings.Contains(err.Error(), "others may write it (chmod go-w it)") {
		t.Errorf("got %v", err)
	}
	if _, err := inventory.Load(t.Context(), inventory.Options{Home: t.TempDir(), User: "me"}); err != nil {
		t.Error("without one:", err)
	}
	o.SSHConfig = filepath.Join(home, "missing")
	if _, err := inventory.Load(t.Context(), o); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("one that is named: got %v", err)
	}
}
