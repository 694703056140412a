package inventory

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// FuzzINI checks that no input makes the reader panic, that errors have an origin, and
// that every host that was read can be selected.
func FuzzINI(f *testing.F) {
	for _, text := range []string{
		"h:22 ansible_user='a b' # c\n[w]\nw[01:10:3].eu\ndb-[a:f]\n[e:children]\nw\n[e:vars]\nansible_port = 23 # why\n",
		"[a:children]\nb\n[b:children]\na\n", "h ansible_ssh_common_args='-o ProxyCommand=\"ssh -W %h:%p u@j\"'\n",
		"[::1]:22 ansible_host=\"{{ x }}\"\n", "h ansible_password='\\\"\n", "[g]\nh\n[g:vars]\nansible_group_priority=2\n",
		"h ansible_ssh_args=-J%h,a@b:1 ansible_timeout=1w\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		g := newGraph()
		if err := g.readINI("fuzz", data); err != nil {
			checkError(t, err)
			return
		}
		for _, err := range g.faults {
			checkError(t, err)
		}
		checkGraph(t, g)
	})
}

// FuzzYAML checks the same for YAML.
func FuzzYAML(f *testing.F) {
	for _, text := range []string{
		"all:\n  hosts:\n    h:\n      ansible_port: 22\n  children:\n    w: {hosts: {'w[1:3]': }, vars: {ansible_user: u}}\n",
		"a: &a {hosts: &h {x: {ansible_host: !vault v}}, children: {b: {hosts: *h}}}\n", "a: {hosts: {h: {<<: {ansible_port: 1}}}}\n",
		"a: &a {children: {b: *a}}\n", "a: {hosts: h, vars: {ansible_user: [1]}}\n", "plugin: x\n", "a: {hosts: {h: {<<: [{}, {ansible_user: ~}]}}}\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := readVarsFile("fuzz", data); err != nil {
			checkError(t, err)
		}
		g := newGraph()
		root, err := parseYAML("fuzz", data)
		if err == nil {
			err = g.readYAML("fuzz", root, &[]Note{})
		}
		if err != nil {
			checkError(t, err)
			return
		}
		checkGraph(t, g)
	})
}

func checkError(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Origin.File == "" || e.What == "" {
		t.Errorf("says not where: %v", err)
	}
}

// checkGraph looks at all hosts of a small graph.
func checkGraph(t *testing.T, g *graph) {
	t.Helper()
	if err := g.finish(); err != nil {
		checkError(t, err)
		return
	}
	if len(g.hosts) > 1000 {
		return
	}
	all := g.below(groupAll)
	slices.Sort(all)
	if names := slices.Sorted(slices.Values(g.hostOrder)); !slices.Equal(all, names) {
		t.Errorf("all are %q, not %q", all, names)
	}
	inv := Inventory{graph: g, resolver: resolver{config: &config{}, home: "/home/u", user: "u"}}
	for _, name := range g.hostOrder {
		m := g.hosts[name]
		if groups := g.ancestry(m); groups[0].name != groupAll {
			t.Errorf("%q: the weakest group is %q", name, groups[0].name)
		}
		h, err := inv.host(name)
		if err != nil {
			checkError(t, err)
			continue
		}
		if h.Port < 1 || h.Port > 65535 || h.Address == "" || h.User == "" || h.ConnectTimeout <= 0 || slices.Contains(h.UserKnownHosts, "/dev/null") {
			t.Errorf("no host to connect to: %+v", h)
		}
	}
}

// FuzzSelect checks that no pattern makes the selection panic, and that each selected
// host exists and is selected once.
func FuzzSelect(f *testing.F) {
	for _, text := range []string{
		"all:!w", "w[0]:&e", "w[-1:]", "~w(1|2):!w2", "*[!a-z]*", "u@h:22", "[::1]:22", "ssh://u@h:22/", "w,e,&w", "[", "web[0:", "w1:22", "~[", "![", "[!", "a[]b]", "fe80::1%x",
	} {
		f.Add(text)
	}
	g := newGraph()
	if err := g.readINI("hosts", []byte("lone\n[w]\nw[1:5]\n[e:children]\nw\n[e]\ne1\n")); err != nil {
		f.Fatal(err)
	}
	if err := g.finish(); err != nil {
		f.Fatal(err)
	}
	inv := Inventory{graph: g, resolver: resolver{config: &config{}, home: "/home/u", user: "u"}}
	f.Fuzz(func(t *testing.T, pattern string) {
		s, err := inv.Select([]string{pattern})
		if (err == nil) != (len(s.Hosts) > 0) {
			t.Fatalf("%d hosts and %v", len(s.Hosts), err)
		}
		seen := map[string]bool{}
		for _, h := range s.Hosts {
			if seen[h.Name] {
				t.Errorf("%s comes twice", h.Name)
			}
			seen[h.Name] = true
			if g.hosts[h.Name] == nil && strings.ContainsAny(h.Address, " \n*") {
				t.Errorf("%q is no host", h.Address)
			}
		}
	})
}

// FuzzSSHConfig checks that no ssh_config makes the reader panic, and that every host
// has a valid address and user.
func FuzzSSHConfig(f *testing.F) {
	for _, text := range []string{
		"Host h *.eu !x\nHostName %h.eu\nPort=23\nUser \"u\"\nProxyJump a,b:22\n", "Match host h,!x final user u\nIdentityFile ~/%h\n",
		"ProxyCommand ssh -W %h:%p -l u j\nConnectTimeout 1h2m\n", "Host *\nProxyJump %h\n", "Host a\nProxyJump b\nHost b\nProxyJump h\nMatch all\nProxyJump a\n",
		"UserKnownHostsFile a \"b c\" none\nIdentitiesOnly yes\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if strings.Contains(strings.ToLower(string(data)), "include") {
			return // would read files
		}
		c := &config{home: "/home/u", user: "u"}
		file, err := (&configReader{config: c}).parse("fuzz", data, 0)
		if err != nil {
			checkError(t, err)
			return
		}
		c.files = [][]directive{file}
		h, err := resolver{c, "/home/u", "u"}.host("h", settings{}, Origin{File: "fuzz"})
		if err != nil {
			checkError(t, err)
			return
		}
		for _, j := range append(h.ProxyJump, Jump{Address: h.Address, Port: h.Port, User: h.User}) {
			if j.Port < 1 || j.Port > 65535 || j.Address == "" || j.User == "" {
				t.Errorf("no host to connect to: %+v", j)
			}
		}
	})
}
