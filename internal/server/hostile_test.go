package server

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
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

// Names that lead out of a directory are not followed.
func TestHostileNames(t *testing.T) {
	var list []Difference
	nodes := []Node{{Name: "..", Kind: "directory"}, {Name: "a/b", Kind: "directory"}, {Name: "", Kind: "file"}, {Name: "x\x00", Kind: "file"}}
	below := compareDir(jury{servers: []string{"a", "b"}}, "/etc", map[string][]Node{"a": nodes, "b": nil}, &list)
	if len(below) > 0 || len(list) > 0 {
		t.Errorf("got %v and %v", below, list)
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
