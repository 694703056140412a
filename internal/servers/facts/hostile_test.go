package facts

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An agent may say anything.
func TestHostileAgent(t *testing.T) {
	endless := strings.NewReader(fmt.Sprintf("%d\n", maxFrame+1))
	for name, said := range map[string]io.Reader{
		"nothing":      strings.NewReader(""),
		"a banner":     strings.NewReader("Welcome to web-1!\nLast login: never\n"),
		"too much":     endless,
		"half":         strings.NewReader("100\n{}"),
		"no JSON":      strings.NewReader("3\nabc"),
		"no line":      strings.NewReader(strings.Repeat("1", 1<<20)),
		"negative":     strings.NewReader("-1\n"),
		"other agents": strings.NewReader("14\n{\"version\": 99}"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Greet("web-1", said, io.Discard)
			if err == nil || !strings.HasPrefix(err.Error(), "web-1: ") {
				t.Errorf("got %v, want an error that names the server", err)
			}
		})
	}
}

// A hello that would take much more memory than it has bytes is not kept.
func TestHostileHello(t *testing.T) {
	hello := func(text string) io.Reader { return strings.NewReader(fmt.Sprintf("%d\n%s", len(text), text)) }
	for name, test := range map[string]struct{ said, says string }{
		"millions of facts":  {`{"version":1,"facts":[` + strings.Repeat("{},", 2<<20) + `{}]}`, "more than 524288 elements"},
		"too many facts":     {fmt.Sprintf(`{"version":%d,"facts":[`, Version) + strings.Repeat("{},", maxFacts) + `{}]}`, "it tells 100001 facts of itself"},
		"too many unknowns":  {fmt.Sprintf(`{"version":%d,"summary":{"unknowns":[`, Version) + strings.Repeat("{},", maxFacts) + `{}]}}`, "it tells 100001 facts of itself"},
		"a fact of one text": {`{"version":1,"facts":[{"key":"` + strings.Repeat(`\u001b`, 1<<20) + `"}]}`, "a text or number has more than"},
		"a version of 1 MB":  {`{"version":` + strings.Repeat("9", 1<<20-100) + `}`, "cannot unmarshal number 9999"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Greet("web-1", hello(test.said), io.Discard)
			if err == nil || !strings.Contains(err.Error(), test.says) || len(err.Error()) > 1000 {
				t.Errorf("got %.2000v, want it to say %q", err, test.says)
			}
		})
	}
}

// A liar is an agent that answers what it likes; at the end of that it ends.
type liar struct {
	said   []byte
	answer func(request) string
}

// Write takes a request, and has the answer read.
func (l *liar) Write(p []byte) (int, error) {
	var req request
	if err := readFrame(bufio.NewReader(bytes.NewReader(p)), &req); err != nil {
		return 0, err
	}
	l.said = append(l.said, l.answer(req)...)
	return len(p), nil
}

func (l *liar) Read(p []byte) (int, error) {
	if len(l.said) == 0 {
		return 0, io.EOF
	}
	n := copy(p, l.said)
	l.said = l.said[n:]
	return n, nil
}

// One server that is lost while it is asked, or that lies, is unreached: the
// others are compared all the same.
func TestOneHostileAmongOthers(t *testing.T) {
	frame := func(v any) string {
		data, err := frame(v)
		must(t, err)
		return string(data)
	}
	listing := func(req request, n Node) string {
		return frame(response{Listed: slices.Repeat([][]Node{{n}}, len(req.List))})
	}
	depth := 0
	for name, test := range map[string]struct {
		answer func(request) string
		says   string
	}{
		"ends":           {func(request) string { return "" }, "the agent ended without an answer"},
		"ends halfway":   {func(request) string { return `100` + "\n" + `{"listed":[[{"na` }, "the agent ended without an answer"},
		"no frame":       {func(request) string { return "\x1b[2J\n" }, `it says "\x1b[2J"`},
		"no JSON":        {func(request) string { return "3\n\x1b[2J" }, "does not speak the agent's protocol"},
		"refuses":        {func(request) string { return frame(response{Error: "\x1b[2Jno" + strings.Repeat("!", 10000)}) }, `the agent says: \x1b[2Jno!`},
		"lists less":     {func(request) string { return frame(response{}) }, "0 directories are listed, want 1"},
		"lists too many": {func(request) string { return frame(response{Listed: make([][]Node, 2)}) }, "2 directories are listed, want 1"},
		"lists an endless path": {func(req request) string {
			depth++
			return listing(req, Node{Name: "a", Kind: "directory", Digest: fmt.Sprint(depth)})
		}, "there is no end of directories"},
		"says who owns nothing": {func(req request) string {
			if req.List != nil {
				return listing(req, Node{Name: "x", Kind: "file"})
			}
			return frame(response{Owners: make([]Owner, 2)})
		}, "2 owners, want 1"},
		"shows too much": {func(req request) string {
			switch {
			case req.Owners != nil:
				return frame(response{Owners: make([]Owner, len(req.Owners))})
			case req.Read != "":
				return frame(response{Text: &Text{Content: make([]byte, maxShown+1)}})
			case req.List[0] == "/":
				return listing(req, Node{Name: "etc", Kind: "directory", Digest: "x"})
			}
			return listing(req, Node{Name: "web.conf", Kind: "file", Digest: "x"})
		}, "no text of a file"},
	} {
		t.Run(name, func(t *testing.T) {
			others := []disk{debian("1"), debian("2").with(disk{"/etc/web.conf": "listen 81\n"}), debian("3")}
			want := compare(t, others...)
			peers, _ := connect(t, others...)
			l := &liar{answer: test.answer}
			l.said = []byte(frame(hello{Version: Version, Summary: Summary{Digest: "x"}}))
			bad, err := Greet("evil", l, l)
			must(t, err)
			got, err := Compare(t.Context(), append([]*Peer{bad}, peers...), nil)
			must(t, err)
			why := got.Unreached["evil"]
			if !strings.Contains(why, test.says) || len(why) > 1000 || strings.Contains(why, "\x1b") || len(got.Unreached) != 1 {
				t.Errorf("unreached is %.2000q, want it to say %q", got.Unreached, test.says)
			}
			want.Unreached = got.Unreached
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("the others are compared otherwise (-got +want):\n%s", diff)
			}
			l.said = []byte(frame(hello{Version: Version, Summary: Summary{Digest: "x"}}))
			bad, err = Greet("evil", l, l)
			must(t, err)
			if _, err = Compare(t.Context(), append(peers, bad), bad); err == nil {
				t.Error("others are compared with one that is not reached")
			}
		})
	}
}

// One server that has more than is looked at, and the others do not, is to blame
// for it.
func TestHostileWidth(t *testing.T) {
	peers, _ := connect(t, debian("1"), debian("2").with(disk{"/etc/web.conf": "listen 81\n"}))
	wide := make([]Node, 20)
	for i := range wide {
		wide[i] = Node{Name: fmt.Sprint(i), Kind: "directory", Digest: "x"}
	}
	frame := func(v any) []byte {
		data, err := frame(v)
		must(t, err)
		return data
	}
	l := &liar{said: frame(hello{Version: Version, Summary: Summary{Digest: "x"}}), answer: func(req request) string {
		return string(frame(response{Listed: slices.Repeat([][]Node{wide}, len(req.List))}))
	}}
	evil, err := Greet("evil", l, l)
	must(t, err)
	all := append(peers, evil)
	_, err = fileDifferences(t.Context(), all, jury{servers: []string{"web-1", "web-2", "evil"}}, 1000)
	var lost *PeerError
	if !errors.As(err, &lost) || lost.Name != "evil" || !errors.Is(err, ErrTooDifferent) {
		t.Errorf("got %v, want that it is evil's", err)
	}
	_, err = fileDifferences(t.Context(), peers, jury{servers: []string{"web-1", "web-2"}}, 0)
	if !errors.Is(err, ErrTooDifferent) || errors.As(err, &lost) {
		t.Errorf("got %v, want that nobody is to blame", err)
	}
}

// A file that is gone when it is to be shown is not shown, and that is all.
func TestFileIsGone(t *testing.T) {
	peers, _ := connect(t, debian("1"), debian("2"))
	frame := func(v any) []byte {
		data, err := frame(v)
		must(t, err)
		return data
	}
	l := &liar{said: frame(hello{Version: Version}), answer: func(req request) string {
		switch {
		case req.Owners != nil:
			return string(frame(response{Owners: make([]Owner, len(req.Owners))}))
		case req.Read != "":
			return string(frame(response{Error: "gone"}))
		case req.List[0] == "/":
			return string(frame(response{Listed: [][]Node{{{Name: "etc", Kind: "directory", Digest: "x"}}}}))
		}
		return string(frame(response{Listed: [][]Node{{{Name: "web.conf", Kind: "file", Digest: "x"}}}}))
	}}
	p, err := Greet("web-3", l, l)
	must(t, err)
	c, err := Compare(t.Context(), append(peers, p), nil)
	must(t, err)
	if d := find(c, File, "/etc/web.conf"); d == nil || d.Hidden != "web-3: the agent says: gone" || len(c.Unreached) > 0 {
		t.Errorf("got %+v, unreached %v", d, c.Unreached)
	}
}

// Names that lead out of a directory are not followed.
func TestHostileNames(t *testing.T) {
	nodes := []Node{{Name: "..", Kind: "directory"}, {Name: "a/b", Kind: "directory"}, {Name: "", Kind: "file"}, {Name: "x\x00", Kind: "file"}, {Name: "x", Kind: "file"}}
	hello, err := frame(hello{Version: Version})
	must(t, err)
	l := &liar{said: hello, answer: func(request) string {
		data, err := frame(response{Listed: [][]Node{nodes}})
		must(t, err)
		return string(data)
	}}
	p, err := Greet("evil", l, l)
	must(t, err)
	listed, err := p.List([]string{"/etc"})
	must(t, err)
	if diff := cmp.Diff(listed, [][]Node{nodes[4:]}); diff != "" {
		t.Errorf("got, want:\n%s", diff)
	}
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte("2\n{}"))
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var h hello
		err := readFrame(bufio.NewReader(bytes.NewReader(data)), &h)
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := writeFrame(&again, h); err != nil {
			t.Fatal(err)
		}
		if err := readFrame(bufio.NewReader(&again), &h); err != nil {
			t.Errorf("what was read cannot be written and read again: %v", err)
		}
	})
}

func FuzzFacts(f *testing.F) {
	f.Add("Package: a\nStatus: install ok installed\nVersion: 1\n\nPackage: b\n", "0100007F:0016")
	f.Fuzz(func(t *testing.T, status, address string) {
		for _, fact := range dpkgFacts(strings.Split(status, "\n")) {
			if fact.Key == "" || fact.Value == "" {
				t.Errorf("got %+v", fact)
			}
		}
		conffiles(strings.Split(status, "\n"))
		apkFacts(strings.Split(status, "\n"))
		if got, err := socketAddress(address); err == nil && !strings.Contains(got, ":") {
			t.Errorf("%q is %q", address, got)
		}
	})
}
