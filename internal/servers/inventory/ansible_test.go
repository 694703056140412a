package inventory

import (
	"bytes"
	"encoding/json"
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
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.inventory.manager import InventoryManager
from ansible.vars.manager import VariableManager
def meaning(wanted):
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
        try:
            patterns[p] = [h.name for h in inventory.get_hosts(p)]
        except AnsibleError:
            patterns[p] = ["an error"]
    return {"hosts": hosts, "patterns": patterns}
json.dump([meaning(w) for w in json.load(sys.stdin)], sys.stdout)
`

// python is the one that Debian's packages are for.
const python = "/usr/bin/python3"

type meaning struct {
	Hosts    map[string]map[string]string `json:"hosts"`
	Patterns map[string][]string          `json:"patterns"`
}

// A question is an inventory with patterns whose meaning is compared.
type question struct {
	Sources   []string `json:"sources"`
	Patterns  []string `json:"patterns"`
	Variables []string `json:"variables"`
}

// askAnsible returns the meanings of all questions. One process answers them, because
// starting it takes most of the time.
func askAnsible(t *testing.T, questions []question) []meaning {
	t.Helper()
	if exec.Command(python, "-c", "import ansible").Run() != nil {
		t.Fatal("ansible-core is not installed; scripts/setup --test does it")
	}
	for i := range questions {
		questions[i].Variables = connectionVariables
	}
	input, err := json.Marshal(questions)
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), python, "-c", oracle)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &stderr
	cmd.Env = append(os.Environ(), "ANSIBLE_LOCALHOST_WARNING=0", "HOME="+t.TempDir(), "ANSIBLE_HOST_PATTERN_MISMATCH=error",
		// Newer releases than Debian's read files *.ini in directories.
		"ANSIBLE_INVENTORY_IGNORE="+strings.Join(ignoredSuffixes, ","))
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	var all []meaning
	if err := json.Unmarshal(output, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// mean returns the same from this package.
func mean(t *testing.T, q question) meaning {
	t.Helper()
	inv, err := Load(t.Context(), Options{Inventories: q.Sources, SSHConfig: os.DevNull, Home: t.TempDir(), User: "me"})
	if err != nil {
		t.Fatal(err)
	}
	if faults := inv.graph.allFaults(); len(faults) > 0 {
		t.Errorf("Ansible reads what is refused here: %v", faults)
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
	for _, p := range q.Patterns {
		names, _, err := inv.names([]string{p})
		switch {
		case err == nil:
			m.Patterns[p] = names
		case strings.Contains(err.Error(), "leave no host"): // to Ansible only a warning
			m.Patterns[p] = []string{}
		default:
			m.Patterns[p] = []string{"an error"}
		}
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

// writeFiles creates files in a new directory and returns the paths of some of them.
func writeFiles(t *testing.T, files map[string]string, names ...string) (paths []string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths
}

// An inventory has the same meaning here as in Ansible.
func TestMeansTheSameToAnsible(t *testing.T) {
	var questions []question
	for _, tt := range inventories {
		questions = append(questions, question{Sources: writeFiles(t, tt.files, tt.sources...), Patterns: tt.patterns})
	}
	for i, want := range askAnsible(t, questions) {
		if diff := cmp.Diff(mean(t, questions[i]), want); diff != "" {
			t.Errorf("inventory %d: got, want:\n%s", i, diff)
		}
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
	{ // names of hosts that are also those of groups, ranges at the begin of a line, names with spaces, files without content
		map[string]string{
			"h": "[1:3].example.org\n\"my host\" ansible_host=192.0.2.1\n[web]\nx:23\nweb ansible_port=24\ny\n[all]\nz\ny\n[db:vars]\nansible_user=d\n[db:hosts]\nx:25\nw_-[1:2]_\n" +
				"[top:children]\ndb\nlate\n[late]\n[a-c]\nrack/1\n",
			"group_vars/all.yml": "---\n# user: x\n", "group_vars/web": "", "group_vars/db/x.d/1.yml": "ansible_port: 1\n", "group_vars/db/y": "ansible_timeout: 0x10\n",
			"host_vars/y.yml/1": "ansible_user: 'no'\nansible_become: no\nansible_port: 026\n", "host_vars/x.yaml": "~\n", "host_vars/rack/1.yml": "ansible_user: rack\n",
		},
		[]string{"h"},
		[]string{"all", "web", "web:y", "all:!web", "all:&web", "*example.org", "all[0]", "all[1]", "my*", "top", "a-c", "1.example.org", "all[2:0]", "web:y,x", "late,x", "all[99]", "y[0]"},
	},
	{ // texts of YAML 1.1, keys that are set twice, merges, and INI with the extension of YAML
		map[string]string{
			"h/1.yml": "all:\n  children:\n    a: {hosts: {x: {ansible_port: 1}, y: , x: {ansible_user: yes}}}\n    b: &b {hosts: {z: {ansible_port: 0b11, ansible_user: 1_0, ansible_host: 1.50}}}\n    c: {hosts: {<<: [{y: {ansible_user: one}}, {y: {ansible_user: two}, w: }], v: }}\n" +
				"    e: {hosts: u, vars: , children: {f: }, x: 1}\n    b: *b\n    g: {hosts: {t: '', s: {ansible_user: 1:30, ansible_password: '022', ansible_timeout: ~}}}\n",
			"h/2.yml": "[a]\nr ansible_user=None ansible_port=0x16 ansible_password=1e3 ansible_timeout=1_0 ansible_host='\"a\" \"b\"'\n[b:vars]\nansible_become_pass='a\\tb'\nansible_password=012\n",
		},
		[]string{"h"},
		[]string{"all", "a", "a[-1]", "c", "b:e", "~[a-c]$", "[a-c]", "[!a-c]", "[z-a]", "nothing", "a:nothing"},
	},
	{ // the patterns of people
		map[string]string{"h": "[web]\nweb-[01:12].example.com\n[db]\ndb-[a:d] ansible_host=192.0.2.9\n10.0.0.[1:3]\n[eu]\nweb-0[1:6].example.com\ndb-a\n[prod:children]\nweb\ndb\n[old]\nweb-12.example.com\n"},
		[]string{"h"},
		[]string{
			"all", "*", "web", "db", "prod", "eu", "web:db", "web,db", "web:&eu", "web:!eu", "prod:&eu:!db", "all:!prod", "!web", "&eu", "web[0]", "web[-1]", "web[0:2]", "web[2:]", "web[1-3]", "web[99]",
			"prod[0]", "db*", "db-?", "db-[a-c]", "db-[!a]", "*.example.com", "web-0[1-3].example.com", `~web-0[13].*`, `~(web|db)-.*`, "~db-[ab]$", "10.0.0.1", "10.0.0.*", "10.0.0.9", "10.0.0.[1:3]", "db-[a:d]",
			"web-13.example.com", "wbe", "ungrouped", "eu,&web,!web-01.example.com", "old:eu", "web:nothing", "web:db,eu", "*[0]", "localhost.example.com", "db-a[0]", "web:!nothing", "web:&nothing",
		},
	},
}
