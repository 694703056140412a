package facts

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An agent may send anything.
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

// A hello that would take much more memory than it has bytes is refused.
func TestHostileHello(t *testing.T) {
	hello := func(text string) io.Reader { return strings.NewReader(fmt.Sprintf("%d\n%s", len(text), text)) }
	for name, test := range map[string]struct{ said, says string }{
		"millions of facts":  {`{"version":1,"facts":[` + strings.Repeat("{},", 2<<20) + `{}]}`, "more than 524288 elements"},
		"too many facts":     {fmt.Sprintf(`{"version":%d,"facts":[`, Version) + strings.Repeat("{},", maxFacts) + `{}]}`, "the hello has 100001 facts"},
		"too many unknowns":  {fmt.Sprintf(`{"version":%d,"summary":{"unknowns":[`, Version) + strings.Repeat("{},", maxFacts) + `{}]}}`, "the hello has 100001 facts"},
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

// A liar is an agent with given answers. It ends after the last one.
type liar struct {
	said   []byte
	answer func(request) string
}

// Write receives a request, and makes the answer readable.
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
		for _, fact := range factsOf(parseDpkgStatus(strings.Split(status, "\n"))) {
			if fact.Key == "" || fact.Value == "" {
				t.Errorf("got %+v", fact)
			}
		}
		conffiles(strings.Split(status, "\n"))
		apkPackages(strings.Split(status, "\n"))
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			if got, err := socketAddress(address, order); err == nil && !strings.Contains(got, ":") {
				t.Errorf("%q is %q", address, got)
			}
		}
	})
}
