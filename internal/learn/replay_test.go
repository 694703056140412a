package learn

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const harText = `{"log": {"version": "1.2", "entries": [
 {"request": {"method": "GET", "url": "https://shop.test/a?b=c%20d", "headers": [{"name": ":authority", "value": "shop.test"}, {"name": "Cookie", "value": "s=1"}, {"name": "Content-Length", "value": "7"}]}},
 {"request": {"method": "post", "url": "http://shop.test:8080/form", "postData": {"mimeType": "application/x-www-form-urlencoded", "params": [{"name": "q", "value": "a b"}]}}},
 {"request": {"method": "PUT", "url": "http://shop.test/x", "postData": {"mimeType": "text/plain", "text": "aGk=", "encoding": "base64"}}},
 {"request": {"method": "GET", "url": "ws://shop.test/live"}},
 {"request": {"method": "POST", "url": "http://shop.test/up", "postData": {"mimeType": "multipart/form-data; boundary=x", "params": [{"name": "f", "fileName": "a"}]}}},
 {"request": {"method": 7}}
]}}`

const logText = `10.0.0.1 - - [10/Oct/2026:13:55:36 +0000] "GET /a?b=c HTTP/1.1" 200 2326
10.0.0.1 - anna smith [10/Oct/2026:13:55:36 +0000] "HEAD / HTTP/1.0" 200 - "http://a/?x=\"1\"" "curl/8 (x)"
::1 - - [10/Oct/2026:13:55:37 +0000] "POST /caf\xc3\xa9 HTTP/2.0" 500 12 "-" "-" "extra" 0.003

shop.test:443 10.0.0.1 - - [10/Oct/2026:13:55:38 +0000] "DELETE /x HTTP/1.1" 404 0 "-" "-"
10.0.0.1 - - [10/Oct/2026:13:55:39 +0000] "-" 408 0
10.0.0.1 - - [10/Oct/2026:13:55:39 +0000] "\x16\x03\x01" 400 150 "-" "-"
not a log
10.0.0.1 - - [10/Oct/2026:13:55:40 +0000] "GET http://other.test/p?q HTTP/1.1" 200 1
10.0.0.1 - - [10/Oct/2026:13:55:41 +0000] "CONNECT a:443 HTTP/1.1" 405 1
10.0.0.1 - - [10/Oct/2026:13:55:4`

func TestRecordings(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       []string // method, host, path and body
		notes      []string
	}{
		{"HAR", harText, []string{"GET shop.test /a?b=c%20d ", "POST shop.test:8080 /form q=a+b", "PUT shop.test /x hi"},
			[]string{`f: 3 of 6 entries have no request that can be sent; the first is number 4: ws://shop.test/live is no URL of HTTP`}},
		{"access log", logText, []string{"GET  /a?b=c ", "HEAD  / ", "POST  /café ", "DELETE shop.test:443 /x ", "GET other.test /p?q "},
			[]string{`f: 5 of 10 lines have no request that can be sent; the first is number 6: "-" is no request`}},
	} {
		r, err := parseRecording("f", []byte(tc.text))
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		var got []string
		for _, q := range r.requests {
			got = append(got, fmt.Sprintf("%s %s %s %s", q.method, q.host, q.uri, q.body))
		}
		if d := cmp.Diff(got, tc.want); d != "" {
			t.Errorf("%s (-got +want):\n%s", tc.name, d)
		}
		if d := cmp.Diff(r.notes(), tc.notes); d != "" {
			t.Errorf("%s: notes (-got +want):\n%s", tc.name, d)
		}
	}
}

func TestFilesThatAreNoRecording(t *testing.T) {
	line := `1 - - [x] "GET / HTTP/1.1" 200 1` + "\n"
	for name, tc := range map[string]struct{ text, want string }{
		"empty":       {"", "f: no request in it"},
		"other text":  {"root:x:0:0\n", "f: no request in it, neither as a HAR file nor as an access log"},
		"other JSON":  {`{"a": 1}`, "f: JSON, but not a HAR file: it has no log"},
		"broken JSON": {`{"log": {`, "f: read it as a HAR file: unexpected end of JSON input"},
		"deep JSON":   {strings.Repeat(`{"log":`, 1<<20), "f: read it as a HAR file"},
		"too many":    {strings.Repeat(line, maxRecorded+1), "f: more than 100000 requests: replay a part of it"},
		"too large":   {strings.Repeat("x", maxRecording+1), "f is larger than 64.0 MiB: replay a part of it"},
		"binary":      {"\x00\xff\"[]\" 200\n", "f: no request in it"},
	} {
		if _, err := parseRecording("f", []byte(tc.text)); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
	}
}

// TestReplay checks that the requests reach the pod in order, with method, host,
// headers and body, whatever port they were recorded with.
func TestReplay(t *testing.T) {
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s", r.Method, r.Host, r.RequestURI, r.Header.Get("Cookie"), body)))
		if r.URL.Path == "/form" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	r, err := parseRecording("f", []byte(harText))
	if err != nil {
		t.Fatal(err)
	}
	c := client("127.0.0.1")
	defer c.CloseIdleConnections()
	out := r.replay(t.Context(), c, "f", []string{server.URL + "/"})
	want := []string{"GET shop.test /a?b=c%20d s=1", "POST shop.test:8080 /form  q=a+b", "PUT shop.test /x  hi"}
	if d := cmp.Diff(got, want); d != "" {
		t.Errorf("requests (-got +want):\n%s", d)
	}
	if out.Result != "2× 2xx, 1× 5xx" || !out.OK {
		t.Errorf("got %q, %v", out.Result, out.OK)
	}
	server.Close()
	if out := r.replay(t.Context(), c, "f", []string{server.URL + "/"}); out.OK {
		t.Errorf("nobody answers: got %+v", out)
	}
}

// TestReplayIsComparedByClass checks that the answers to idempotent requests must
// be of the same class, if they are when writable.
func TestReplayIsComparedByClass(t *testing.T) {
	r := []recordedRequest{{method: "GET", uri: "/a"}, {method: "POST", uri: "/b"}, {method: "PUT", uri: "/c"}}
	run := func(answers ...int) Outcome { return Outcome{Result: "r", OK: true, requests: r, answers: answers} }
	varied := run(2, 2, 5)
	varied.add(run(2, 2, 2))
	for _, tc := range []struct {
		name             string
		sealed, writable Outcome
		want             string
	}{
		{"the same", run(2, 2, 4), run(2, 2, 4), ""},
		{"a request that is not idempotent", run(2, 4, 2), run(2, 2, 2), ""},
		{"a failure", run(2, 2, 5), run(2, 2, 2), "PUT /c: 5xx"},
		{"no answer", run(0, 2, 2), run(2, 2, 2), "GET /a: no answer"},
		{"it varied when writable", run(2, 2, 5), varied, ""},
	} {
		got, _, alike := tc.sealed.against(tc.writable)
		if alike != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: got %q, %v, want %q", tc.name, got, alike, tc.want)
		}
	}
}

func FuzzRecording(f *testing.F) {
	f.Add([]byte(harText))
	f.Add([]byte(logText))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseRecording("f", data)
		if err != nil {
			return
		}
		if r.total < len(r.requests) || r.total != len(r.requests)+r.unusable {
			t.Errorf("%d requests and %d others of %d", len(r.requests), r.unusable, r.total)
		}
		for _, q := range r.requests {
			if err := q.check(); err != nil {
				t.Errorf("%v: %v", q, err)
			}
		}
	})
}
