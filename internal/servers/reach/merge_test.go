package reach

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/fs/mounts"
)

// An undo that comes later takes back the effects of its change, and keeps what has
// changed since.
func TestWithoutKeepsLaterChanges(t *testing.T) {
	mount := func(point string) mounts.Mount {
		return mounts.Mount{Point: point, Device: "0:" + point, Root: "/", Options: "rw"}
	}
	active, inactive := unit{Active: "active"}, unit{Active: "inactive"}
	before := State{
		Boot: "1", Network: &network{Routes: []object{object("old"), object("removed by it")}, Links: []link{{Name: "eth0", MTU: 1500}}},
		Firewall: firewall{Tables: map[string]string{"ip own": "accept"}}, Sysctls: map[string]string{"a": "0", "b": "0"},
		Units: map[string]unit{"ssh.service": active, "web.service": inactive}, Mounts: []mounts.Mount{mount("/"), mount("/gone")},
		Nodes: []node{{Path: "/run/sshd", Mode: 0o755}}, Top: node{Path: "/", Mode: 0o755},
	}
	after := State{
		Boot: "1", Network: &network{Routes: []object{object("old"), object("added by it")}, Links: []link{{Name: "br0"}, {Name: "eth0", MTU: 68}}},
		Firewall: firewall{Tables: map[string]string{"ip own": "drop", "inet f": "drop"}}, Sysctls: map[string]string{"a": "1", "b": "0"},
		Units: map[string]unit{"ssh.service": inactive, "web.service": inactive}, Mounts: []mounts.Mount{mount("/"), mount("/over")},
		Nodes: []node{}, Top: node{Path: "/", Mode: 0o777},
	}
	now := after
	now.Network = &network{
		Routes: []object{object("old"), object("added by it"), object("later")},
		Links:  []link{{Name: "br0"}, {Name: "eth0", MTU: 68}, {Name: "wg0"}},
	}
	now.Firewall = firewall{Tables: map[string]string{"ip own": "drop", "inet f": "drop", "ip later": "accept"}}
	now.Sysctls = map[string]string{"a": "1", "b": "7"}
	now.Units = map[string]unit{"ssh.service": inactive, "web.service": active}
	now.Mounts = []mounts.Mount{mount("/"), mount("/over"), mount("/later")}
	now.Nodes = []node{{Path: "/run/later"}}

	got := now.Without(before, after)
	want := State{
		Boot: "1", Network: &network{
			Routes: []object{object("old"), object("later"), object("removed by it")},
			Links:  []link{{Name: "eth0", MTU: 1500}, {Name: "wg0"}},
		},
		Firewall: firewall{Tables: map[string]string{"ip own": "accept", "ip later": "accept"}}, Sysctls: map[string]string{"a": "0", "b": "7"},
		Units:  map[string]unit{"ssh.service": active, "web.service": active},
		Mounts: []mounts.Mount{mount("/"), mount("/later"), mount("/gone")},
		Nodes:  []node{{Path: "/run/later"}, {Path: "/run/sshd", Mode: 0o755}}, Top: node{Path: "/", Mode: 0o755},
	}
	options := cmp.AllowUnexported(State{}, network{}, firewall{}, link{}, node{}, unit{})
	if diff := cmp.Diff(got, want, options); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(now.Without(before, before), now, options); diff != "" {
		t.Errorf("a change without effects: %s", diff)
	}
	now.Boot = "2"
	if diff := cmp.Diff(now.Without(before, after).Network, now.Network, options); diff != "" {
		t.Errorf("after a restart: %s", diff)
	}
}

// A part that could not be read is not restored: that it is empty is no state.
func TestUnreadPartsDoNotDiffer(t *testing.T) {
	present := State{
		Network: &network{Links: []link{{Name: "eth0"}}}, Firewall: firewall{Tables: map[string]string{"ip x": "y"}, Legacy: map[string]string{"iptables": "*filter\n-A X\nCOMMIT\n"}},
		Sysctls: map[string]string{"a": "1"}, Units: map[string]unit{"x.service": {Active: "active"}}, Mounts: []mounts.Mount{{Point: "/"}},
		Nodes: []node{{Path: "/run/nologin"}}, Top: node{Path: "/", Mode: 0o755}, Clock: 1 << 50,
	}
	if left := (State{}).Difference(present); left != nil {
		t.Errorf("got %q", left)
	}
	if diff := cmp.Diff(present.Without(State{}, present), present, cmp.AllowUnexported(State{}, network{}, firewall{}, link{}, node{}, unit{})); diff != "" {
		t.Error(diff)
	}
}
