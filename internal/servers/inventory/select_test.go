package inventory_test

import (
	"fmt"
	"strings"
	"testing"
)

const shops = `
lone
[web]
web[1:3].eu
[db]
db1.eu
web3.eu
[eu:children]
web
db
[us]
shop.us
`

func TestPatterns(t *testing.T) {
	inv := files{"hosts": shops, "config": "Host alias web9.eu\n"}.mustLoad(t, "hosts")
	for _, tt := range []struct{ patterns, want string }{
		{"all", "lone shop.us web1.eu web2.eu web3.eu db1.eu"},
		{"*", "lone shop.us web1.eu web2.eu web3.eu db1.eu"},
		{"ungrouped", "lone"},
		{"web", "web1.eu web2.eu web3.eu"},
		{"eu", "web1.eu web2.eu web3.eu db1.eu"},
		{"db,web", "db1.eu web3.eu web1.eu web2.eu"},
		{"db:web", "db1.eu web3.eu web1.eu web2.eu"},
		{"db web", "db1.eu web3.eu web1.eu web2.eu"},
		{"web:&db", "web3.eu"},
		{"eu:!db", "web1.eu web2.eu"},
		{"!db:eu", "web1.eu web2.eu"},
		{"!eu", "lone shop.us"},
		{"eu:&web:!web1.eu", "web2.eu web3.eu"},
		{"web,db &db !web", "db1.eu"},
		{"*.eu", "web1.eu web2.eu web3.eu db1.eu"},
		{"web?.eu:!*3*", "web1.eu web2.eu"},
		{"web[!12].eu", "web3.eu"},
		{"web[1-2].eu", "web1.eu web2.eu"},
		{`~(web|db)1\.eu`, "web1.eu db1.eu"},
		{`~web(?:1|2)`, "web1.eu web2.eu"},
		{"~shop", "shop.us"},
		{"all:!~.*eu", "lone shop.us"},
		{"web[0]", "web1.eu"},
		{"web[-1]", "web3.eu"},
		{"web[0:1]", "web1.eu web2.eu"},
		{"web[1:]", "web2.eu web3.eu"},
		{"web[1:9]:!web[2]", "web2.eu"},
		{"w*[0]", "web1.eu"},
		// hosts that are in no inventory
		{"root@shop.us:2222", "root@shop.us:2222"},
		{"shop.us:2222", "shop.us:2222"},
		{"ssh://[2001:db8::1]:23", "[2001:db8::1]:23"},
		{"ssh://2001:db8::1", "2001:db8::1"},
		{"root@192.0.2.1,ssh://192.0.2.2", "root@192.0.2.1 192.0.2.2"},
		{"ssh://web8.eu:23/", "web8.eu:23"},
		{"alias", "alias"},
		{"web9.eu", "web9.eu"},
		{"ssh://elsewhere.example.org web[0]", "elsewhere.example.org web1.eu"},
		{"web alias !alias", "web1.eu web2.eu web3.eu"},
	} {
		hosts, err := mustSelect(inv, strings.Fields(tt.patterns)...)
		if err != nil {
			t.Errorf("%s: %v", tt.patterns, err)
		} else if got := names(hosts); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.patterns, got, tt.want)
		}
	}
}

func TestPatternsRefused(t *testing.T) {
	inv := files{"hosts": shops}.mustLoad(t, "hosts")
	for _, tt := range []struct{ patterns, want string }{
		{"", "command line: no pattern (name a host or a group; all is every host)"},
		{"web,,db", "command line: an empty pattern (name a host or a group; all is every host)"},
		{"wbe", `command line: no host or group matches "wbe" (similar: web; for a host that is in no inventory write ssh://wbe)`},
		{"web4.eu", `command line: no host or group matches "web4.eu" (similar: web1.eu, web2.eu, web3.eu; for`},
		{"all:!wbe", `command line: no host or group matches "!wbe" (similar: web)`},
		{"all:&nothing", `command line: no host or group matches "&nothing" (there are the groups all, ungrouped, web, db, eu, us)`},
		{"wbe*", `command line: no host or group matches "wbe*" (similar: web, web1.eu, web2.eu, web3.eu)`},
		{"~x.*", `command line: no host or group matches "~x.*" (there are the groups`},
		{"web[3]", `command line: "web[3]": no host with that index (indices count from 0, and [-1] is the last)`},
		{"web[-4]", `command line: "web[-4]": no host with that index`},
		{"lone:&us", `command line: "lone:&us" leave no host`},
		{"~(?=x)", "command line: \"~(?=x)\": error parsing regexp: invalid or unsupported Perl syntax: `(?=` (the syntax is RE2's"},
		{"u:hunter2@h", `command line: a password in the destination of "h" (leave it out;`},
		{"h:99999@x", `command line: a password in the destination of "x"`},
		{"@h", `command line: "@h" names no user before the @`},
		{"ssh://h/path", `command line: "ssh://h/path" is no destination`},
		{"u@h:x", `command line: "u@h:x" is no destination`},
	} {
		_, err := mustSelect(inv, strings.Fields(tt.patterns)...)
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v\nwant %s", tt.patterns, err, tt.want)
		}
	}
}

// The errors of several hosts are returned together, each reason once.
func TestErrorsOfManyHosts(t *testing.T) {
	_, err := files{"hosts": "h[1:30] ansible_host='{{ x }}'\n"}.selectAll(t, "hosts")
	if err == nil || strings.Count(err.Error(), "template") != 1 {
		t.Errorf("got %v", err)
	}
	var ini strings.Builder
	for i := range 15 {
		fmt.Fprintf(&ini, "h%d ansible_connection=docker\n", i)
	}
	_, err = files{"hosts": ini.String()}.selectAll(t, "hosts")
	if err == nil || strings.Count(err.Error(), "docker") != 10 || !strings.HasSuffix(err.Error(), "\nand 5 more") {
		t.Errorf("got %v", err)
	}
}

func TestHostsOfTheirOwn(t *testing.T) {
	f := files{"config": "Host s\nHostName 192.0.2.3\nUser u\nPort 23\n", "h": "s ansible_port=99\n"}
	inv := f.mustLoad(t, "h")
	for pattern, want := range map[string]string{
		"s": "u@192.0.2.3:99", "root@s": "root@192.0.2.3:23", "s:24": "u@192.0.2.3:24", "ssh://s": "u@192.0.2.3:23", "ssh://root@s:25": "root@192.0.2.3:25",
		"ssh://[2001:db8::1]:26": "me@2001:db8::1:26", "ssh://a%40b@x": "a@b@x:22", "ssh://fe80::1%eth0": "me@fe80::1%eth0:22",
	} {
		hosts, err := mustSelect(inv, pattern)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
		} else if got := way(hosts[0]); got != want {
			t.Errorf("%s: got %s, want %s", pattern, got, want)
		}
	}
}
