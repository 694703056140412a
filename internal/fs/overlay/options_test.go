package overlay

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/fs/mounts"
)

func TestParseOptions(t *testing.T) {
	tests := map[string]struct {
		options string
		want    Mount
		bad     bool
	}{
		"Docker": {
			options: "rw,lowerdir=/var/lib/docker/overlay2/l/AB:/var/lib/docker/overlay2/l/CD,upperdir=/var/lib/docker/overlay2/x/diff,workdir=/var/lib/docker/overlay2/x/work,index=off",
			want: Mount{
				Lower: []string{"/var/lib/docker/overlay2/l/AB", "/var/lib/docker/overlay2/l/CD"},
				Upper: "/var/lib/docker/overlay2/x/diff", Work: "/var/lib/docker/overlay2/x/work",
			},
		},
		"read-only":                     {options: "ro,lowerdir=/a:/b", want: Mount{Lower: []string{"/a", "/b"}}},
		"overlayfs's escapes":           {options: `rw,lowerdir=/a\134:b\134\054c\134\134d:/e`, want: Mount{Lower: []string{`/a:b,c\d`, "/e"}}},
		"octal colon":                   {options: `rw,lowerdir=/a\072b:/c\054d`, want: Mount{Lower: []string{"/a:b", "/c,d"}}},
		"blank":                         {options: `rw,lowerdir=/a\040b`, want: Mount{Lower: []string{"/a b"}}},
		"one option a layer":            {options: `rw,lowerdir+=/a\054b:c,lowerdir+=/d,datadir+=/e`, want: Mount{Lower: []string{"/a,b:c", "/d"}, Data: []string{"/e"}}},
		"layers of data":                {options: "rw,lowerdir=/a:/b::/c::/d", want: Mount{Lower: []string{"/a", "/b"}, Data: []string{"/c", "/d"}}},
		"escaped upper":                 {options: `rw,lowerdir=/a,upperdir=/u\134\054\134:\040,workdir=/w`, want: Mount{Lower: []string{"/a"}, Upper: "/u,: ", Work: "/w"}},
		"features":                      {options: "rw,lowerdir=/a,redirect_dir=nofollow,index=on,userxattr", want: Mount{Lower: []string{"/a"}, NoRedirect: true, Index: true, UserXattr: true}},
		"quoted SELinux context":        {options: `rw,context="system_u:object_r:container_file_t:s0:c1,c2",lowerdir=/a`, want: Mount{Lower: []string{"/a"}}},
		"a quote in a name":             {options: `rw,lowerdir=/a"b,upperdir=/u`, want: Mount{Lower: []string{`/a"b`}, Upper: "/u"}},
		"no layer":                      {options: "rw,upperdir=/u", bad: true},
		"empty layer":                   {options: "rw,lowerdir=/a:", bad: true},
		"NUL":                           {options: `rw,lowerdir=/a\000b`, bad: true},
		"upper with NUL":                {options: `rw,lowerdir=/a,upperdir=/\000b`, bad: true},
		"a backslash at the very end":   {options: `rw,lowerdir=/a\`, want: Mount{Lower: []string{`/a\`}}},
		"no octal digits after the end": {options: `rw,lowerdir=/a\04`, want: Mount{Lower: []string{`/a04`}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseOptions(tt.options, defaults{})
			if tt.bad {
				if err == nil {
					t.Fatalf("got %+v, want an error", got)
				}
				return
			}
			if diff := cmp.Diff(got, tt.want); err != nil || diff != "" {
				t.Errorf("error %v, -got +want\n%s", err, diff)
			}
		})
	}
}

func FuzzParseOptions(f *testing.F) {
	f.Add("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue")
	f.Add(`1 0 0:2 / / rw - overlay none rw,lowerdir=/a\134:b:/c::/d,upperdir=/u\040,workdir=/w`)
	f.Add(`1 0 0:2 / / rw - overlay none rw,context="a,b",lowerdir+=/a,datadir+=/b,userxattr`)
	f.Fuzz(func(t *testing.T, text string) {
		table, err := mounts.Parse(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, p := range table {
			m, err := parseOptions(p.SuperOptions, defaults{})
			if err != nil {
				continue
			}
			for _, dir := range m.dirs() {
				if *dir == "" || strings.Contains(*dir, "\x00") {
					t.Errorf("directory %q of %q", *dir, p.SuperOptions)
				}
			}
		}
	})
}

func TestParseParent(t *testing.T) {
	tests := map[string]struct {
		stat string
		want int
	}{
		"plain":            {"12 (sh) S 7 12 12", 7},
		"name with blanks": {"12 (a) S 3 (b) S 7 12 12", 7},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got, err := parseParent(tt.stat); err != nil || got != tt.want {
				t.Errorf("got %d, %v", got, err)
			}
		})
	}
	if _, err := parseParent("12 (sh"); err == nil {
		t.Error("no error for half a line")
	}
}
