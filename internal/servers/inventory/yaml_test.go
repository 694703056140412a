package inventory_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestYAML(t *testing.T) {
	for _, tt := range []struct {
		name, file, yaml, want string
	}{
		{"groups", "hosts.yml", `
ungrouped:
  hosts:
    relay.example.org:
shops:
  hosts:
    shop[1:2].example.org:
      ansible_user: seller
eu:
  children:
    shops:
    stores:
      hosts: {store1: {ansible_port: 2222}}
`, "relay.example.org me 22 [ungrouped];shop1.example.org seller 22 [shops];shop2.example.org seller 22 [shops];store1 me 2222 [stores]"},
		{"below all, no extension", "hosts", "all:\n  hosts:\n    a:\n  children:\n    g:\n      hosts:\n        b:\n      vars:\n        ansible_port: 23\n",
			"a me 22 [ungrouped];b me 23 [g]"},
		{"JSON", "hosts.json", `{"g": {"hosts": {"a": {"ansible_user": "u"}}}}`, "a u 22 [g]"},
		{"a text for one host", "hosts.yaml", "g: {hosts: a}\n", "a me 22 [g]"},
		{"aliases and merges", "hosts.yml", "g:\n  hosts:\n    a: &a {ansible_user: u, ansible_port: 23}\n    b: {<<: *a, ansible_port: 24}\n    c: *a\n", "a u 23 [g];b u 24 [g];c u 23 [g]"},
		{"null is as if it were not set", "hosts.yml", "g:\n  hosts: {a: {ansible_user: null}}\n  vars: {ansible_user: u}\n", "a me 22 [g]"},
		{"others hold anything", "hosts.yml", "g:\n  hosts: {a: {x: !vault $ANSIBLE_VAULT, y: '{{ z }}', z: [1, {2: 3}]}}\n", "a me 22 [g]"},
		{"empty", "hosts.yml", "g: {hosts: {a: }}\nempty:\n", "a me 22 [g]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			hosts, err := files{tt.file: tt.yaml}.selectAll(t, tt.file)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, h := range hosts {
				got = append(got, fmt.Sprint(h.Name, " ", h.User, " ", h.Port, " ", h.Groups))
			}
			if s := strings.Join(got, ";"); s != tt.want {
				t.Errorf("got %s\nwant %s", s, tt.want)
			}
		})
	}
}

func TestYAMLRefused(t *testing.T) {
	for _, tt := range []struct {
		name, yaml, want string
	}{
		{"no YAML", "a: [\n", "hosts.yml:1: not YAML: did not find expected node content"},
		{"a password is not shown", "g: {hosts: {a: {ansible_password: *hunter2}}}\n", "hosts.yml: not YAML: unknown anchor '…' referenced"},
		{"a list of hosts", "g:\n  hosts:\n  - a\n", "hosts.yml:3: hosts of group g: no mapping (write each as a key, with a colon behind it)"},
		{"a list", "- a\n", "hosts.yml:1: no mapping of groups (begin with a group, such as all:)"},
		{"two documents", "a:\n---\nb:\n", "hosts.yml:2: more than one document (keep one in each file)"},
		{"a plugin", "plugin: aws_ec2\n", "hosts.yml:1: the configuration of an inventory plugin, and none are run (save what `ansible-inventory --list --yaml` prints, and give that)"},
		{"a script's output", "_meta: {hostvars: {}}\n", "hosts.yml:1: the output of an inventory script, not an inventory (print it with `ansible-inventory --list --yaml`)"},
		{"a cycle", "a: {children: {b: {children: {a: }}}}\n", "hosts.yml:1: groups contain themselves: a > b > a (take one of them out)"},
		{"a group in itself by an alias", "a: &a {children: {b: *a}}\n", "hosts.yml:1: groups"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := files{"hosts.yml": tt.yaml}.selectAll(t, "hosts.yml")
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestUnknownKeysOfAGroupAreNoted(t *testing.T) {
	inv := files{"h.yml": "g:\n  host: {a: }\n  hosts: {b: }\n"}.mustLoad(t, "h.yml")
	if len(inv.Notes) != 1 || inv.Notes[0].Origin.Line != 2 || !strings.Contains(inv.Notes[0].Text, `"host"`) {
		t.Errorf("got %v", inv.Notes)
	}
}
