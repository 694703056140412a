package traffic_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/workload/traffic"
)

func TestForwarding(t *testing.T) {
	const lies = "X-Forwarded-For: 192.0.2.1\r\nx-forwarded-for: 192.0.2.2\r\nX-Forwarded-Proto: https\r\nForwarded: for=192.0.2.1\r\n"
	echo := serveHTTP(t, "a", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "Forwarded"} {
			fmt.Fprintf(w, "%s\n", strings.Join(r.Header[name], "|"))
		}
		fmt.Fprintf(w, "%s %s", r.Header.Get("Z"), body)
	})
	for _, tt := range []struct {
		name   string
		f      traffic.Forwarding
		fields string
		want   string
	}{
		{"nothing", traffic.ForwardNothing, lies, "192.0.2.1|192.0.2.2\nhttps\nfor=192.0.2.1\nz body"},
		{"replace", traffic.ForwardReplace, lies, "127.0.0.1\nhttp\nfor=127.0.0.1;proto=http\nz body"},
		{"append", traffic.ForwardAppend, lies, "192.0.2.1, 192.0.2.2, 127.0.0.1\nhttps\nfor=192.0.2.1, for=127.0.0.1;proto=http\nz body"},
		{"append to nothing", traffic.ForwardAppend, "", "127.0.0.1\nhttp\nfor=127.0.0.1;proto=http\nz body"},
		{"append to empty ones", traffic.ForwardAppend, "X-Forwarded-For:\r\nForwarded: \r\nX-Forwarded-Proto:\r\n", "127.0.0.1\nhttp\nfor=127.0.0.1;proto=http\nz body"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := listen(t, traffic.Options{Forwarding: tt.f}, echo)
			c, r := dial(t, b)
			for range 2 {
				fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\n%sContent-Length: 4\r\nZ: z\r\n\r\nbody", tt.fields)
				_, got := answer(t, r, "POST")
				if diff := cmp.Diff(got, tt.want); diff != "" {
					t.Error("got, want:\n", diff)
				}
			}
		})
	}
}

// TestForwardedFieldsCannotBeRemoved refuses a request that asks a further proxy to
// remove the fields.
func TestForwardedFieldsCannotBeRemoved(t *testing.T) {
	for f, want := range map[traffic.Forwarding]int{traffic.ForwardNothing: 200, traffic.ForwardReplace: 400} {
		b := listen(t, traffic.Options{Forwarding: f}, named(t, "a"))
		c, r := dial(t, b)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, X-Forwarded-For\r\n\r\n")
		if resp, _ := answer(t, r, "GET"); resp.StatusCode != want {
			t.Errorf("forwarding %d: got %d, want %d", f, resp.StatusCode, want)
		}
	}
}

// TestProtocolChanges changes the forwarding of a Balancer: connections from then on
// have it, and the ones before go on.
func TestProtocolChanges(t *testing.T) {
	b := listen(t, traffic.Options{}, serveHTTP(t, "a", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("X-Forwarded-For"))
	}))
	before, after := keepAlive(t), keepAlive(t)
	get(before, b, "/")
	b.SetProtocol(traffic.HTTP, traffic.ForwardReplace)
	for client, want := range map[*http.Client]string{before: "", after: "127.0.0.1"} {
		if _, got := get(client, b, "/"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
