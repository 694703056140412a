package inventory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// oracle runs Ansible itself to find the hosts of each pattern and the variables of each
// host.
const oracle = `
import json, sys
from ansible.parsing.dataloader import DataLoader
from ansible.inventory.manager import InventoryManager
from ansible.vars.manager import VariableManager
wanted = json.load(sys.stdin)
loader = DataLoader()
inventory = InventoryManager(loader=loader, sources=wanted["sources"])
variables = VariableManager(loader=loader, inventory=inventory)
hosts = {}
for h in inventory.get_hosts("all"):
    v = variables.get_vars(host=h, include_hostvars=False)
    hosts[h.name] = {k: str(v[k]) for k in wanted["variables"] if k in v}
    hosts[h.name]["groups"] = " ".join(sorted(v["group_names"]))
patterns = {}
for p in wanted["patterns"]:
    patterns[p] = [h.name for h in inventory.get_hosts(p)]
json.dump({"hosts": hosts, "patterns": patterns}, sys.stdout)
`

// python is the one that Debian's packages are for.
const python = "/usr/bin/python3"

type meaning struct {
	Hosts    map[string]map[string]string `json:"hosts"`
	Patterns map[string][]string          `json:"patterns"`
}

func askAnsible(t *testing.T, sources, patterns []string) meaning {
	t.Helper()
	if exec.Command(python, "-c", "import ansible").Run() != nil {
		t.Fatal("ansible-core is not installed; scripts/setup --test does it")
	}
	input, err := json.Marshal(map[string][]string{"sources": sources, "patterns": patterns, "variables": connectionVariables})
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), python, "-c", oracle)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &stderr
	cmd.Env = append(os.Environ(), "ANSIBLE_LOCALHOST_WARNING=0", "HOME="+t.TempDir(),
		// Newer releases than Debian's read files *.ini in directories.
		"ANSIBLE_INVENTORY_IGNORE="+strings.Join(ignoredSuffixes, ","))
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	var m meaning
	if err := json.Unmarshal(output, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// mean returns the same from this package.
func mean(t *testing.T, sources, patterns []string) meaning {
	t.Helper()
	inv, err := Load(t.Context(), Options{Inventories: sources, SSHConfig: os.DevNull, Home: t.TempDir(), User: "me"})
	if err != nil {
		t.Fatal(err)
	}
	m := meaning{map[string]map[string]string{}, map[string][]string{}}
	for _, name := range inv.graph.hostOrder {
		said := map[string]string{"groups": strings.Join(sortedGroups(inv.graph, name), " ")}
		for k, v := range inv.graph.variablesOf(inv.graph.hosts[name]) {
			said[k] = v.text
			if v.isNull {
				said[k] = "None"
			}
		}
		delete(said, "ansible_group_priority") // Ansible does not count it as a host's variable
		m.Hosts[name] = said
	}
	for _, p := range patterns {
		names, _, err := inv.names([]string{p})
		if err != nil {
			t.Log(err)
		}
		m.Patterns[p] = append([]string{}, names...)
	}
	return m
}

// sortedGroups returns Ansible's group_names of a host.
func sortedGroups(g *graph, name string) []string {
	var all []string
	for _, in := range g.ancestry(g.hosts[name]) {
		if in.name != groupAll {
			all = append(all, in.name)
		}
	}
	slices.Sort(all)
	return all
}

// An inventory has the same meaning here as in Ansible.
func TestMeansTheSameToAnsible(t *testing.T) {
	for i, tt := range inventories {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			dir := t.TempDir()
			var sources []string
			for name, text := range tt.files {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for _, s := range tt.sources {
				sources = append(sources, filepath.Join(dir, s))
			}
			want := askAnsible(t, sources, tt.patterns)
			if diff := cmp.Diff(mean(t, sources, tt.patterns), want); diff != "" {
				t.Error("got, want:\n", diff)
			}
		})
	}
}

var inventories = []struct {
	files    map[string]string
	sources  []string
	patterns []string
}{
	{
		map[string]string{"hosts": `
lone:2222
[web]
web[1:3].eu ansible_port=24 ansible_user='a b'
web[01:07:3]
[db]
db-[a:c] ansible_password="x # y" # comment
web3.eu ansible_user=last
[db:vars]
ansible_user = "q"  # c
ansible_port=25 # c
ansible_timeout=31
ansible_become_pass=a#b
[eu:children]
db
web # c
[eu:vars]
ansible_user=eu
ansible_become=True
ansible_host='it s'
ansible_ssh_common_args=-o ProxyCommand="ssh -W %h:%p u@j"
ansible_ssh_args='-o "A=b"'
ansible_ssh_extra_args="a\"b\'c\\d"
ansible_become_user=\x
[all:vars]
ansible_user=all
ansible_connection=ssh
[us]
shop.us ansible_user=\"u\" ansible_host="'v'" ansible_ssh_args='a\b' ansible_password=p\ q
`},
		[]string{"hosts"},
		[]string{
			"all", "*", "web", "eu", "web:db", "db:web", "db,web", "web:&db", "eu:!db", "!db:eu", "!eu", "*.eu", "web?.eu", "web[!12].eu", "web[1-2].eu",
			`~(web|db)1\.eu`, "~shop", "web[0]", "web[-1]", "web[0:1]", "web[1:]", "web[1:99]", "w*[0]", "eu[1]:web[0]", "all[0:3]", "*[2]", "us:lone", "d*:&w*",
			"~web.*:!web", "all:!web:!db", "ungrouped", "web[2-3]", "e*", "*e*",
		},
	},
	{
		map[string]string{
			"inv/10-a":           "[b]\nh\n[a]\nh\ng ansible_user=inline\n[top:children]\na\nb\nc\n[a:vars]\nansible_user=a\nansible_group_priority=5\n[b:vars]\nansible_user=b\nansible_port=1\n[c]\nk\n[top:vars]\nansible_port=3\nansible_timeout=4\n",
			"inv/20-b.yml":       "all:\n  vars: {ansible_become: True}\n  children:\n    c:\n      hosts:\n        k: {ansible_port: 16, ansible_user: other}\n        'm[1:2]:23': \n      children: {d: {hosts: {h: }}}\n",
			"inv/group_vars/all": "ansible_timeout: 7\nansible_become_user: all\n", "inv/group_vars/top.yml": "ansible_become_user: top\nansible_host: top\n",
			"inv/group_vars/a/1.yml": "ansible_host: a1\n", "inv/group_vars/a/2": "ansible_host: a2\n", "inv/group_vars/a/z/3.json": "{\"ansible_host\": \"a3\"}\n", "inv/group_vars/a.yml": "ansible_host: not-read\n",
			"inv/group_vars/b.yaml": "ansible_host: b\n", "inv/host_vars/g.yml": "ansible_user: file\n", "inv/host_vars/k": "ansible_host: ${x}\n",
			"inv/x.bak": "bad1\n", "inv/x.cfg": "bad2\n", "inv/.x": "bad3\n", "inv/x~": "bad4\n", "inv/x.retry": "bad5\n", "inv/sub/y": "deep\n", "inv/x.orig": "bad6\n", "inv/x.txt": "bad\n",
		},
		[]string{"inv"},
		[]string{"all", "top", "a:c", "c[0]", "d", "top:!d", "*"},
	},
	{
		map[string]string{
			"1/h": "[g]\nx ansible_user=one\ny\n[z:children]\ng\n", "2/h.yml": "g: {hosts: {x: {ansible_user: two}, w: }}\n", "2/group_vars/g": "ansible_port: 2\n", "1/group_vars/g": "ansible_port: 1\nansible_user: g\n",
			"1/host_vars/y": "ansible_user: y1\n", "2/host_vars/y": "ansible_user: y2\n",
		},
		[]string{"1/h", "2/h.yml"},
		[]string{"all", "g", "z"},
	},
}
