package tree

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const example = `adamant tree 1
d 0755 0 0 /
d 0755 0 0 /bin
f 4755 0 0 /bin/ping size=3 sha256=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad xattr:security.capability=0100 xattr:user.a\x3db=
c 0666 0 0 /dev\x20null device=1:3
f 0644 0 0 /etc size=0 link=/etc
l 0777 1 2 /var target=..\x5c\x0a
end 6
`

func TestEncoding(t *testing.T) {
	tree := mustTree(t, dir("/"), dir("/bin"),
		Entry{Path: "/bin/ping", Kind: Regular, Mode: 0o4755, Size: 3, Digest: "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
			Xattrs: map[string]string{"user.a=b": "", CapabilityXattr: "\x01\x00"}},
		Entry{Path: "/dev null", Kind: CharDevice, Mode: 0o666, Major: 1, Minor: 3},
		Entry{Path: "/etc", Kind: Regular, Mode: 0o644, Link: "/etc"},
		Entry{Path: "/var", Kind: Symlink, Mode: 0o777, UID: 1, GID: 2, Target: "..\\\n"},
	)
	var b strings.Builder
	if n, err := tree.WriteTo(&b); err != nil || n != int64(b.Len()) {
		t.Fatal(n, err)
	}
	if diff := cmp.Diff(b.String(), example); diff != "" {
		t.Errorf("encoding (- got, + want):\n%s", diff)
	}
	parsed, err := Parse(strings.NewReader(example))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(entries(parsed), entries(tree)); diff != "" {
		t.Errorf("parsed (- got, + want):\n%s", diff)
	}
}

func TestParseRefuses(t *testing.T) {
	edit := func(old, new string) string {
		t.Helper()
		if !strings.Contains(example, old) {
			t.Fatalf("the example has no %q", old)
		}
		return strings.Replace(example, old, new, 1)
	}
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "unexpected EOF"},
		{"another version", edit("tree 1", "tree 2"), "not an adamant tree of version 1"},
		{"no end", edit("end 6\n", ""), "unexpected EOF"},
		{"cut in a line", example[:len(example)-1], "unexpected EOF"},
		{"cut between lines", edit("d 0755 0 0 /bin\n", ""), "line 7: 5 entries"},
		{"text after the end", example + "d 0755 0 0 /z\n", "text after the end"},
		{"out of order", edit("/etc size=0 link=/etc", "/aaa size=0"), `"/aaa" is out of order`},
		{"twice", edit("d 0755 0 0 /bin\n", "d 0755 0 0 /\n"), "out of order"},
		{"below a file", edit("l 0777 1 2 /var", "l 0777 1 2 /etc/var"), "lies below a regular file"},
		{"another way to write a number", edit("0755 0 0 /bin", "0755 00 0 /bin"), "not in canonical form"},
		{"another way to write a byte", edit(`\x20`, `\X20`), "not in canonical form"},
		{"a byte that must be escaped", edit(`\x20`, "\x80"), "not in canonical form"},
		{"a field that is not known", edit("size=0", "size=0 more=1"), "not in canonical form"},
		{"a field of another kind", edit("/bin\n", "/bin target=x\n"), "a directory with target"},
		{"carriage return", edit("/bin\n", "/bin\r\n"), "not in canonical form"},
		{"a kind that is not known", edit("c 0666", "x 0666"), "no such kind"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(strings.NewReader(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// Digests are equal if and only if no entry differs.
func TestDigestAgreesWithDiff(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(2, seed))
		a := randomTree(t, r)
		changed := entries(a)
		for i := range changed { // content that was not read never is equal
			if changed[i].Kind == Regular && changed[i].Digest == "" {
				changed[i].Size = 0
			}
		}
		a = mustTree(t, changed...)
		changed = entries(a)
		i := r.IntN(len(changed))
		if e := randomEntry(r, changed[i].Path); changed[i].Kind != Directory && (e.Digest != "" || e.Size == 0) {
			changed[i] = e
		} else {
			changed[i].Mode ^= uint32(r.IntN(2))
		}
		b := mustTree(t, changed...)
		want := true
		for k := range changed {
			want = want && a.entries[k].Same(b.entries[k])
		}
		if got := a.Digest() == b.Digest(); got != want {
			t.Fatalf("seed %d: digests equal: %v, entries same: %v\n%s", seed, got, want, cmp.Diff(entries(a), entries(b)))
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte("adamant tree 1\nend 0\n"))
	r := rand.New(rand.NewPCG(3, 3))
	var b bytes.Buffer
	if _, err := randomTree(f, r).WriteTo(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, text []byte) {
		tree, err := Parse(bytes.NewReader(text))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if _, err := tree.WriteTo(&again); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(again.String(), string(text)); diff != "" {
			t.Errorf("parsed and written again (- got, + want):\n%s", diff)
		}
	})
}

func entries(t Tree) []Entry {
	var all []Entry
	for e := range t.All() {
		all = append(all, e)
	}
	return all
}
