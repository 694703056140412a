package pod

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRedirectRules(t *testing.T) {
	list := []Redirect{
		{Address: "198.18.0.1", Protocol: "tcp", Port: 80, To: "10.201.0.5", ToPort: 8080},
		{Address: "198.18.0.2", Protocol: "udp", To: "10.201.0.6"},
	}
	got, err := redirectRules(list, true)
	if err != nil {
		t.Fatal(err)
	}
	const want = `*nat
:ADAMANT-REDIRECT - [0:0]
-A OUTPUT -d 198.18.0.0/16 -j ADAMANT-REDIRECT
-A ADAMANT-REDIRECT -d 198.18.0.1/32 -p tcp --dport 80 -j DNAT --to-destination 10.201.0.5:8080
-A ADAMANT-REDIRECT -d 198.18.0.2/32 -p udp -j DNAT --to-destination 10.201.0.6
COMMIT
*filter
-A OUTPUT -d 198.18.0.0/16 -p tcp -j REJECT --reject-with tcp-reset
-A OUTPUT -d 198.18.0.0/16 -j REJECT
COMMIT
`
	if d := cmp.Diff(string(got), want); d != "" {
		t.Errorf("(-got +want):\n%s", d)
	}
	for _, bad := range []Redirect{
		{Address: "::1", Protocol: "tcp", To: "10.0.0.1"},
		{Address: "198.18.0.1", Protocol: "sctp", To: "10.0.0.1"},
		{},
	} {
		if _, err := redirectRules([]Redirect{bad}, false); err == nil {
			t.Errorf("%+v: got no error", bad)
		}
	}
}
