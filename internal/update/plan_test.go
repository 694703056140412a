package update

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/change"
	"github.com/adamant-sh/adamant/internal/server"
)

func TestRepairs(t *testing.T) {
	c := []string{"c"}
	got, split := Repairs(server.Comparison{
		Servers: []string{"a", "b", "c"},
		Differences: []server.Difference{
			{Section: server.Package, Key: "web:amd64", Usual: "1.1", Odd: c},
			{Section: server.Package, Key: "miner", Odd: c},
			{Section: server.Package, Key: "half", Usual: "1 (half-configured)", Odd: c},
			{Section: server.User, Key: "eve", Odd: c},
			{Section: server.File, Key: "/usr/bin/web", Usual: "x", Odd: c, Fields: []string{"content"}},
			{Section: server.File, Key: "/etc/web.conf", Usual: "x", Odd: c, Fields: []string{"content"}},
			{Section: server.File, Key: "/etc/cron.d/miner", Odd: c},
			{Section: server.File, Key: "/etc/shadow", Usual: "x", Odd: c, Fields: []string{"mode"}},
			{Section: server.File, Key: "/var/lib/dpkg/status", Usual: "x", Odd: c, Derived: true},
			{Section: server.File, Key: "/etc/split", Split: true},
		},
		Causes: []server.Cause{{Kind: server.ByPackage, Files: []string{"/usr/bin/web"}}},
	})
	want := []Repair{{
		Server: "c", Packages: []change.Package{{Name: "web", Version: "1.1"}}, Purge: []string{"miner"},
		Copy: []string{"/etc/web.conf"}, Remove: []string{"/etc/cron.d/miner"},
		ByHand: []string{"package half is 1 (half-configured) on the others", "user eve", "file /etc/shadow: mode"},
	}}
	if diff := cmp.Diff(got, want); diff != "" || split != 1 {
		t.Errorf("split %d; got, want:\n%s", split, diff)
	}
}
