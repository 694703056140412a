package compare

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/test/disk"
)

// The messages of the agent's protocol, for a hostile agent.
type (
	request struct {
		List     []string `json:"list"`
		Read     string   `json:"read"`
		Owners   []string `json:"owners"`
		Packages []string `json:"packages"`
	}
	response struct {
		Listed [][]facts.Node `json:"listed,omitempty"`
		Text   *facts.Text    `json:"text,omitempty"`
		Owners []facts.Owner  `json:"owners,omitempty"`
		Error  string         `json:"error,omitempty"`
	}
	hello struct {
		Version int           `json:"version"`
		Summary facts.Summary `json:"summary"`
	}
)

// maxShown is the size up to which an agent shows a text, in bytes.
const maxShown = 256 << 10

// frame returns a message as it is on the wire.
func frame(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	must(t, err)
	return fmt.Sprintf("%d\n%s", len(data), data)
}

// A liar is an agent with given answers. It ends after the last one.
type liar struct {
	said   []byte
	answer func(request) string
}

// Write receives a request, and makes the answer readable.
func (l *liar) Write(p []byte) (int, error) {
	_, text, _ := bytes.Cut(p, []byte("\n"))
	var req request
	if err := json.Unmarshal(text, &req); err != nil {
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

// A server that is lost during a request or lies is unreached, and the others are
// compared without it.
func TestOneHostileAmongOthers(t *testing.T) {
	frame := func(v any) string { return frame(t, v) }
	listing := func(req request, n facts.Node) string {
		return frame(response{Listed: slices.Repeat([][]facts.Node{{n}}, len(req.List))})
	}
	depth := 0
	for name, test := range map[string]struct {
		answer func(request) string
		says   string
	}{
		"ends":         {func(request) string { return "" }, "the agent ended without an answer"},
		"ends halfway": {func(request) string { return `100` + "\n" + `{"listed":[[{"na` }, "the agent ended without an answer"},
		"no frame":     {func(request) string { return "\x1b[2J\n" }, `it says "\x1b[2J"`},
		"no JSON":      {func(request) string { return "3\n\x1b[2J" }, "does not speak the agent's protocol"},
		"refuses": {func(request) string {
			return frame(response{Error: "\x1b[2Jno" + strings.Repeat("!", 10000)})
		}, `the agent says: \x1b[2Jno!`},
		"lists less":     {func(request) string { return frame(response{}) }, "0 directories are listed, want 1"},
		"lists too many": {func(request) string { return frame(response{Listed: make([][]facts.Node, 2)}) }, "2 directories are listed, want 1"},
		"lists an endless path": {func(req request) string {
			depth++
			return listing(req, facts.Node{Name: "a", Kind: "directory", Digest: fmt.Sprint(depth)})
		}, "directories are nested too deep"},
		"says who owns nothing": {func(req request) string {
			if req.List != nil {
				return listing(req, facts.Node{Name: "x", Kind: "file"})
			}
			return frame(response{Owners: make([]facts.Owner, 2)})
		}, "2 owners, want 1"},
		"shows too much": {func(req request) string {
			switch {
			case req.Owners != nil:
				return frame(response{Owners: make([]facts.Owner, len(req.Owners))})
			case req.Read != "":
				return frame(response{Text: &facts.Text{Content: make([]byte, maxShown+1)}})
			case req.List[0] == "/":
				return listing(req, facts.Node{Name: "etc", Kind: "directory", Digest: "x"})
			}
			return listing(req, facts.Node{Name: "web.conf", Kind: "file", Digest: "x"})
		}, "no text of a file"},
	} {
		t.Run(name, func(t *testing.T) {
			others := []disk.Files{disk.Debian("1"), disk.Debian("2").With(disk.Files{"/etc/web.conf": "listen 81\n"}), disk.Debian("3")}
			want := compare(t, others...)
			peers, _ := connect(t, others...)
			l := &liar{answer: test.answer}
			l.said = []byte(frame(hello{Version: facts.Version, Summary: facts.Summary{Digest: "x"}}))
			bad, err := facts.Greet("evil", l, l)
			must(t, err)
			got, err := Compare(t.Context(), append([]*facts.Peer{bad}, peers...), nil)
			must(t, err)
			why := got.Unreached["evil"]
			if !strings.Contains(why, test.says) || len(why) > 1000 || strings.Contains(why, "\x1b") || len(got.Unreached) != 1 {
				t.Errorf("unreached is %.2000q, want it to say %q", got.Unreached, test.says)
			}
			want.Unreached = got.Unreached
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("the others are compared otherwise (-got +want):\n%s", diff)
			}
			l.said = []byte(frame(hello{Version: facts.Version, Summary: facts.Summary{Digest: "x"}}))
			bad, err = facts.Greet("evil", l, l)
			must(t, err)
			if _, err = Compare(t.Context(), append(peers, bad), bad); err == nil {
				t.Error("others are compared with one that is not reached")
			}
		})
	}
}

// If one server alone has too many entries, that server is unreached.
func TestHostileWidth(t *testing.T) {
	peers, _ := connect(t, disk.Debian("1"), disk.Debian("2").With(disk.Files{"/etc/web.conf": "listen 81\n"}))
	wide := make([]facts.Node, 20)
	for i := range wide {
		wide[i] = facts.Node{Name: fmt.Sprint(i), Kind: "directory", Digest: "x"}
	}
	frame := func(v any) string { return frame(t, v) }
	l := &liar{said: []byte(frame(hello{Version: facts.Version, Summary: facts.Summary{Digest: "x"}})), answer: func(req request) string {
		return frame(response{Listed: slices.Repeat([][]facts.Node{wide}, len(req.List))})
	}}
	evil, err := facts.Greet("evil", l, l)
	must(t, err)
	all := append(peers, evil)
	_, err = fileDifferences(t.Context(), all, majority{servers: []string{"web-1", "web-2", "evil"}}, 1000)
	var lost *facts.PeerError
	if !errors.As(err, &lost) || lost.Name != "evil" || !errors.Is(err, ErrTooDifferent) {
		t.Errorf("got %v, want that it is evil's", err)
	}
	_, err = fileDifferences(t.Context(), peers, majority{servers: []string{"web-1", "web-2"}}, 0)
	if !errors.Is(err, ErrTooDifferent) || errors.As(err, &lost) {
		t.Errorf("got %v, want that nobody is to blame", err)
	}
}

// A file that is gone before it is shown is no error.
func TestFileIsGone(t *testing.T) {
	peers, _ := connect(t, disk.Debian("1"), disk.Debian("2"))
	frame := func(v any) string { return frame(t, v) }
	l := &liar{said: []byte(frame(hello{Version: facts.Version})), answer: func(req request) string {
		switch {
		case req.Owners != nil:
			return frame(response{Owners: make([]facts.Owner, len(req.Owners))})
		case req.Read != "":
			return frame(response{Error: "gone"})
		case req.List[0] == "/":
			return frame(response{Listed: [][]facts.Node{{{Name: "etc", Kind: "directory", Digest: "x"}}}})
		}
		return frame(response{Listed: [][]facts.Node{{{Name: "web.conf", Kind: "file", Digest: "x"}}}})
	}}
	p, err := facts.Greet("web-3", l, l)
	must(t, err)
	c, err := Compare(t.Context(), append(peers, p), nil)
	must(t, err)
	if d := find(c, File, "/etc/web.conf"); d == nil || d.Hidden != "web-3: the agent says: gone" || len(c.Unreached) > 0 {
		t.Errorf("got %+v, unreached %v", d, c.Unreached)
	}
}
