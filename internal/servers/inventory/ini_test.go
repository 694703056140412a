package inventory_test

import (
	"fmt"
	"strings"
	"testing"
)

// The forms in Ansible's "How to build your inventory", with other names.
func TestINI(t *testing.T) {
	for _, tt := range []struct {
		name, ini, want string
	}{
		{"hosts alone and in groups", "relay.example.org\n\n[shops]\nshop1.example.org\nshop2.example.org\n\n[stores]\nstore1.example.org\nshop1.example.org\n",
			"relay.example.org[ungrouped] shop1.example.org[shops stores] shop2.example.org[shops] store1.example.org[stores]"},
		{"a range", "[w]\nw[01:07:3].example.org\n", "w01.example.org[w] w04.example.org[w] w07.example.org[w]"},
		{"letters", "[w]\ndb-[a:c]-node\n", "db-a-node[w] db-b-node[w] db-c-node[w]"},
		{"letters of both cases", "[w]\nn[y:B]\n", "ny[w] nz[w] nA[w] nB[w]"},
		{"two ranges", "r[1:2]n[8:9]\n", "r1n8[ungrouped] r1n9[ungrouped] r2n8[ungrouped] r2n9[ungrouped]"},
		{"a range from nothing", "n[:2]\n", "n0[ungrouped] n1[ungrouped] n2[ungrouped]"},
		{"children", "[eu:children]\nparis\nrome # not only\n[paris]\np1\n[rome]\nr1\n", "p1[paris] r1[rome]"},
		{"all and ungrouped as sections", "[all]\na\n[ungrouped]\nb\n[g]\nb\n", "a[ungrouped] b[g]"},
		{"comments", "# a\n; b\n[g] # c\nh # d\n", "h[g]"},
		{"windows' line ends and a mark", "\ufeff[g]\r\nh\r\n", "h[g]"},
		{"a name without a dot", "jumper ansible_port=5555 ansible_host=192.0.2.50\n", "jumper[ungrouped]"},
		{"an address", "192.0.2.1\n[2001:db8::1]:2222\n2001:db8::2\n", "192.0.2.1[ungrouped] 2001:db8::1[ungrouped] 2001:db8::2[ungrouped]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			hosts, err := files{"hosts": tt.ini}.selectAll(t, "hosts")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, h := range hosts {
				got = append(got, fmt.Sprint(h.Name, h.Groups))
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("got %s\nwant %s", s, tt.want)
			}
		})
	}
}

func TestINIValues(t *testing.T) {
	for _, tt := range []struct {
		name, ini string
		port      int
		user, pw  string
	}{
		{"behind the name", "h:2222\n", 2222, "me", ""},
		{"a variable beats what is behind the name", "h:2222 ansible_port=23\n", 23, "me", ""},
		{"the older names win", "h ansible_port=1 ansible_ssh_port=24 ansible_ssh_user=u ansible_user=v\n", 24, "u", ""},
		{"quotes of a shell", `h ansible_user='a''b' ansible_password="x y\"z" # c`, 22, "ab", `x y"z`},
		{"quotes of Python in a section", "h\n[all:vars]\nansible_user = \"bo\"  # who\nansible_port = 24 # why\nansible_password = a#b\n", 24, "bo", "a#b"},
		{"a # in a word ends the line", "h ansible_password=a#b ansible_port=1\n", 22, "me", "a"},
		{"the last of two wins", "[a]\nh ansible_port=1\n[b]\nh ansible_port=2\n", 2, "me", ""},
		{"a range has them all", "h[1:1] ansible_user=u\n", 22, "u", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			hosts, err := files{"hosts": tt.ini}.selectAll(t, "hosts")
			if err != nil {
				t.Fatal(err)
			}
			h := hosts[0]
			if h.Port != tt.port || h.User != tt.user || h.Password.Reveal() != tt.pw {
				t.Errorf("got %d, %s, %q", h.Port, h.User, h.Password.Reveal())
			}
		})
	}
}

func TestINIRefused(t *testing.T) {
	for _, tt := range []struct {
		name, ini, want string
	}{
		{"an unknown child", "[a:children]\nb\n", `hosts:2: there is no group "b" (add a section for it, or correct the name)`},
		{"variables of no group", "h\n[b:vars]\n", `hosts:2: there is no group "b" (add a section for it, or correct the name)`},
		{"a cycle", "[a:children]\nb\n[b:children]\na\n", "hosts:2: groups contain themselves: a > b > a (take one of them out)"},
		{"itself", "[a:children]\na\n", "hosts:2: groups contain themselves: a > a (take one of them out)"},
		{"all in a group", "[a:children]\nall\n", "hosts:2: groups contain themselves: all > a > all (take one of them out)"},
		{"an open quote", "h ansible_password='secret\n", "hosts:1: a quote is not closed (quote values as in a shell)"},
		{"a word alone", "h ansible_password=my secret\n", "hosts:1: word 3 is no variable (write name=value, and quote values with spaces)"},
		{"no section", "h\n[a:things]\n", `hosts:2: a section of "things" does not exist, so the lines below it are not read (write [group], [group:children] or [group:vars])`},
		{"an open section", "[a\nh\n", `hosts:1: "[a" is no section, so the lines below it are not read (write [group], [group:children] or [group:vars])`},
		{"a variable without a value", "[all:vars]\nansible_user\n", "hosts:2: a variable without a value (write name=value, or begin a comment with #)"},
		{"an empty port", "a\nh:\n", `hosts:2: "h:" is no host with a port (write host or host:port)`},
		{"zeros on one side", "h[01:5]\n", `hosts:1: [01:5] has leading zeros on one side (write as many digits on both sides)`},
		{"backwards", "h[9:1]\n", `hosts:1: [9:1] ends before it begins (swap them)`},
		{"no step", "h[1:9:0]\n", `hosts:1: [1:9:0]: no step (write a number above 0)`},
		{"no range", "h[1]\n", `hosts:1: "h[1]": no range in the brackets (a range is [1:9], [01:10:2] or [a:f])`},
		{"too many", "h[1:100001]\n", `hosts:1: [1:100001] are more than 100000 hosts`},
		{"too many by two ranges", "h[1:1000][1:1000]\n", `hosts:1: "h[1:1000][1:1000]" are more than 100000 hosts`},
		{"too many together", "a[1:60000]\nb[1:60000]\n", `hosts:2: more than 100000 hosts`},
		{"a priority", "[a]\nh\n[a:vars]\nansible_group_priority=x\n", "hosts:4: ansible_group_priority: no number (write a number)"},
		{"a control character", "h\x01\n", `hosts:1: "h\x01" is no name of a host`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := files{"hosts": tt.ini}.selectAll(t, "hosts")
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}
