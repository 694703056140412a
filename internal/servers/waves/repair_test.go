package waves

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/servers/change"
	"github.com/adamant-sh/adamant/internal/servers/compare"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

func TestRepairs(t *testing.T) {
	c := []string{"c"}
	got, split := Repairs(compare.Comparison{
		Servers: []string{"a", "b", "c"},
		Differences: []compare.Difference{
			{Section: facts.Package, Key: "web:amd64", Usual: "1.1", Odd: c},
			{Section: facts.Package, Key: "miner", Odd: c},
			{Section: facts.Package, Key: "half", Usual: "1 (half-configured)", Odd: c},
			{Section: facts.User, Key: "eve", Odd: c},
			{Section: compare.File, Key: "/usr/bin/web", Usual: "x", Odd: c, Fields: []string{"content"}},
			{Section: compare.File, Key: "/etc/web.conf", Usual: "x", Odd: c, Fields: []string{"content"}},
			{Section: compare.File, Key: "/etc/cron.d/miner", Odd: c},
			{Section: compare.File, Key: "/etc/shadow", Usual: "x", Odd: c, Fields: []string{"mode"}},
			{Section: compare.File, Key: "/var/lib/dpkg/status", Usual: "x", Odd: c, Derived: true},
			{Section: compare.File, Key: "/etc/split", Split: true},
		},
		Causes: []compare.Cause{{Kind: compare.ByPackage, Files: []string{"/usr/bin/web"}}},
	})
	want := []Repair{{
		Server: "c", Packages: []change.PackageSpec{{Name: "web", Version: "1.1"}}, Purge: []string{"miner"},
		Copy: []string{"/etc/web.conf"}, Remove: []string{"/etc/cron.d/miner"},
		ByHand: []string{"package half is 1 (half-configured) on the others", "user eve", "file /etc/shadow: mode"},
	}}
	if diff := cmp.Diff(got, want); diff != "" || split != 1 {
		t.Errorf("split %d; got, want:\n%s", split, diff)
	}
}
