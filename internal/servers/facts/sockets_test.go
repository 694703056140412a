package facts

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The tables are those of a server with nginx in front of an application.
func TestSockets(t *testing.T) {
	owners := map[string]Socket{
		"11": {Program: "perl", Unit: "shop.service"}, "12": {Program: "nginx", Unit: "nginx.service"}, "13": {Program: "postgres", Unit: "postgresql@15-main.service"},
	}
	tcp := `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 11 1 0000000000000000 100 0 0 10 0
   1: 0100007F:A3F2 0100007F:1F40 01 00000000:00000000 00:00000000 00000000    33        0 12 1 0000000000000000 20 4 30 10 -1
   2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 99 1 0000000000000000 100 0 0 10 0
   3: 0100007F:A3F2 0100007F:1F40 06 00000000:00000000 00:00000000 00000000    33        0 0 1
`
	unix := `Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 13 /run/postgresql/.s.PGSQL.5432
0000000000000000: 00000003 00000000 00000000 0001 03 13 /run/postgresql/.s.PGSQL.5432
0000000000000000: 00000002 00000000 00010000 0001 01 13 @abstract
0000000000000000: 00000002 00000000 00010000 0001 01 13
`
	at := netip.MustParseAddrPort
	want := []Socket{
		{Protocol: "tcp", Local: at("127.0.0.1:8000"), Remote: at("0.0.0.0:0"), Listens: true, Program: "perl", Unit: "shop.service"},
		{Protocol: "tcp", Local: at("127.0.0.1:41970"), Remote: at("127.0.0.1:8000"), Program: "nginx", Unit: "nginx.service"},
		{Protocol: "unix", Path: "/run/postgresql/.s.PGSQL.5432", Listens: true, Program: "postgres", Unit: "postgresql@15-main.service"},
	}
	got := append(inetSockets("tcp", listening, tcp, owners), unixSockets(unix, owners)...)
	if d := cmp.Diff(got, want, cmpopts.EquateComparable(netip.AddrPort{})); d != "" {
		t.Errorf("sockets (-got +want):\n%s", d)
	}
}

func TestUnitOfCgroup(t *testing.T) {
	for text, want := range map[string]string{
		"0::/system.slice/shop.service\n":                                              "shop.service",
		"0::/system.slice/system-postgresql.slice/postgresql@15-main.service/worker\n": "postgresql@15-main.service",
		"12:pids:/system.slice/nginx.service\n0::/\n":                                  "nginx.service",
		"0::/user.slice/user-0.slice/session-1.scope\n":                                "",
		"0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service\n":     "web.service",
		"": "", "x": "",
	} {
		if got := unitOfCgroup(text); got != want {
			t.Errorf("unit of %q: got %q, want %q", text, got, want)
		}
	}
}
