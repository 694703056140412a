package inventory_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/servers/inventory"
)

// The precedence of variables: each case adds a source that overrides the case before
// it.
func TestPrecedence(t *testing.T) {
	f := files{"inv/hosts": "[b]\nh\n[a]\nh\n[top:children]\na\nb\n"}
	add := func(file, text string) func() { return func() { f[file] += text } }
	for _, tt := range []struct {
		name string
		add  func()
		want string
	}{
		{"nothing", func() {}, "me"},
		{"ssh_config", add("config", "Host h\nUser config\n"), "config"},
		{"all, inline", add("inv/hosts", "[all:vars]\nansible_user=all\n"), "all"},
		{"a parent, inline", add("inv/hosts", "[top:vars]\nansible_user=top\n"), "top"},
		{"a child, inline", add("inv/hosts", "[a:vars]\nansible_user=a\n"), "a"},
		{"the last of the alphabet", add("inv/hosts", "[b:vars]\nansible_user=b\n"), "b"},
		{"a priority", add("inv/hosts", "[a:vars]\nansible_group_priority=2\n"), "a"},
		{"group_vars of all", add("inv/group_vars/all.yml", "ansible_user: all-file\n"), "all-file"},
		{"group_vars of a parent", add("inv/group_vars/top.yaml", "ansible_user: top-file\n"), "top-file"},
		{"group_vars of a child, in a directory", add("inv/group_vars/b/10.yml", "ansible_user: b-file\n"), "b-file"},
		{"a later file of that directory", add("inv/group_vars/b/more/1", "ansible_user: b-later\n"), "b-later"},
		{"its priority", add("inv/group_vars/a", "ansible_user: a-file\n"), "a-file"},
		{"the host, inline", func() { f["inv/hosts"] = strings.Replace(f["inv/hosts"], "h\n", "h ansible_user=host\n", 1) }, "host"},
		{"host_vars", add("inv/host_vars/h.json", `{"ansible_user": "host-file"}`), "host-file"},
	} {
		tt.add()
		hosts, err := f.selectAll(t, "inv/hosts")
		if err != nil {
			t.Fatal(tt.name, err)
		}
		if hosts[0].User != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, hosts[0].User, tt.want)
		}
	}
}

func TestDirectoryOfInventories(t *testing.T) {
	f := files{
		"inv/01-a":            "[a]\nx ansible_user=one\n",
		"inv/02-b.yml":        "b: {hosts: {x: {ansible_user: two}}}\n",
		"inv/sub/c.ini":       "y\n",
		"inv/group_vars/b":    "ansible_port: 23\n",
		"inv/host_vars/y.yml": "ansible_port: 24\n",
	}
	for _, ignored := range []string{".hidden", "a~", "a.bak", "ansible.cfg", "a.retry", "README.md", ".git/x"} {
		f["inv/"+ignored] = "[broken\n"
	}
	hosts, err := f.selectAll(t, "inv")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, h := range hosts {
		got = append(got, fmt.Sprint(h.Name, " ", h.User, " ", h.Port, " ", h.Groups))
	}
	if diff := cmp.Diff(got, []string{"y me 24 [ungrouped]", "x two 23 [a b]"}); diff != "" {
		t.Error("got, want:\n", diff)
	}
}

func TestLaterInventoriesWin(t *testing.T) {
	f := files{"1/h": "[g]\nx ansible_user=one\n", "2/h": "x ansible_user=two\n[g]\n", "2/group_vars/g": "ansible_port: 23\n"}
	inv := f.mustLoad(t, "1/h", "2/h")
	hosts, err := mustSelect(inv, "g")
	if err != nil || len(hosts) != 1 || hosts[0].User != "two" || hosts[0].Port != 23 {
		t.Errorf("got %+v, %v", hosts, err)
	}
}

// A value that cannot be known is an error for the hosts that need it, and no others.
func TestRefusedVariables(t *testing.T) {
	const arg = "a ansible_ssh_common_args="
	for _, tt := range []struct {
		name, ini, want string
	}{
		{"a template", "a ansible_host='{{ ip }}'", "h:2: ansible_host is a template, and none are evaluated (write the value itself"},
		{"docker", "a ansible_connection=docker", "h:2: ansible_connection: \"docker\" is not SSH (exclude the host"},
		{"local", "a ansible_connection=local", "h:2: ansible_connection: \"local\" is not SSH"},
		{"winrm", "a ansible_connection=winrm", "h:2: ansible_connection: \"winrm\" is not SSH"},
		{"su", "a ansible_become_method=su ansible_become=yes", "h:2: ansible_become_method: \"su\" is not supported (use sudo)"},
		{"become", "a ansible_become=perhaps", "h:2: ansible_become: \"perhaps\" is no boolean (write true or false)"},
		{"a port", "a ansible_port=70000", "h:2: \"70000\" is no port (write a number from 1 to 65535)"},
		{"a timeout", "a ansible_timeout=soon", "h:2: ConnectTimeout: \"soon\" is no time (write seconds, such as 10)"},
		{"an address", "a ansible_host='b c'", "h:2: b c: \"b c\" is no address"},
		{"an address with a port", "a ansible_host=b:22", "h:2: b:22: \"b:22\" is no address (write a name or an IP address, and the port apart)"},
		{"an empty address", "a ansible_host=", "h:2: ansible_host is empty"},
		{"a command", arg + `'-o ProxyCommand="nc -x p %h %p"'`, "h:2: ProxyCommand other than ssh -W is not run (write ProxyJump"},
		{"a tunnel", arg + "'-L 1:b:2'", "h:2: -L of ssh is not supported"},
		{"words", arg + "'b true'", "h:2: ansible_ssh_common_args holds more than options"},
		{"an open quote", arg + `'-o "Port'`, "h:2: ansible_ssh_common_args: a quote is not closed"},
		{"a jump through itself", arg + "'-J a'", `h:2: the way to "a" leads through itself`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := files{"h": "[g]\n" + tt.ini + "\n[ok]\nb\n"}
			_, err := f.selectAll(t, "h")
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
			if _, err := f.selectAll(t, "h", "ok"); err != nil {
				t.Error("another host:", err)
			}
		})
	}
}

// Host keys are always verified. Options that would disable that are ignored and noted.
func TestDisabledVerificationIsNoted(t *testing.T) {
	const arg = "h[1:2] ansible_ssh_common_args="
	for _, ini := range []string{
		arg + "'-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null'", arg + "-oStrictHostKeyChecking=off", arg + "'-o UserKnownHostsFile=/dev/null'",
		"h[1:2] ansible_ssh_host_key_checking=false", "h[1:2] ansible_host_key_checking=no",
	} {
		s, err := files{"h": ini}.mustLoad(t, "h").Select([]string{"all"})
		if err != nil || len(s.Hosts) != 2 || s.Err() != nil {
			t.Fatalf("%s: got %+v, %v", ini, s, err)
		}
		if len(s.Notes) != 1 || s.Notes[0].Origin.Line != 1 || !strings.Contains(s.Notes[0].Text, "host keys are always verified") {
			t.Errorf("%s: got %v", ini, s.Notes)
		}
		if known := s.Hosts[0].UserKnownHosts; len(known) != 2 || strings.Contains(strings.Join(known, ""), "null") {
			t.Errorf("%s: host keys are compared with %q", ini, known)
		}
	}
}

func TestVaults(t *testing.T) {
	f := files{
		"h":              "a\nb ansible_become_pass=plain\n",
		"host_vars/a":    "ansible_user: u\nansible_become_pass: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n",
		"host_vars/b":    "secret: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n",
		"group_vars/all": "$ANSIBLE_VAULT;1.1;AES256\n6162\n",
	}
	if _, err := f.selectAll(t, "h", "a"); err == nil || err.Error() != "host_vars/a:2: ansible_become_pass is in a vault, and none are opened (keep the value in a file that only you can read)" {
		t.Errorf("got %v", err)
	}
	if hosts, err := f.selectAll(t, "h", "b"); err != nil || hosts[0].Become.Password.Reveal() != "plain" {
		t.Errorf("got %v, %v", hosts, err)
	}
	inv := f.mustLoad(t, "h")
	if len(inv.Notes) != 1 || !strings.HasSuffix(inv.Notes[0].Origin.File, "group_vars/all") {
		t.Errorf("got %v", inv.Notes)
	}
}

func TestBecome(t *testing.T) {
	for ini, want := range map[string]inventory.Become{
		"h":                    {User: "root"},
		"h ansible_become=yes": {On: true, User: "root"},
		"h ansible_become=1 ansible_become_user=db ansible_become_method=sudo": {On: true, User: "db"},
		"h ansible_become=True ansible_sudo_pass=s ansible_become_password=p":  {On: true, User: "root", Password: inventory.NewSecret("s")},
	} {
		hosts, err := files{"h": ini}.selectAll(t, "h")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(hosts[0].Become, want); diff != "" {
			t.Errorf("%s: got, want:\n%s", ini, diff)
		}
	}
}
