package mounts

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	tests := map[string]struct {
		line string
		want Mount
		bad  bool
	}{
		"of the manual": {
			line: "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue",
			want: Mount{ID: 36, Device: "98:0", Root: "/mnt1", Point: "/mnt2", Options: "rw,noatime", Type: "ext3", Source: "/dev/root", SuperOptions: "rw,errors=continue"},
		},
		"no optional field": {
			line: "1 0 0:2 / / rw - overlay none rw,lowerdir=/a",
			want: Mount{ID: 1, Device: "0:2", Root: "/", Point: "/", Options: "rw", Type: "overlay", Source: "none", SuperOptions: "rw,lowerdir=/a"},
		},
		"several optional fields": {
			line: "1 0 0:2 / / rw shared:1 master:2 - overlay none rw",
			want: Mount{ID: 1, Device: "0:2", Root: "/", Point: "/", Options: "rw", Type: "overlay", Source: "none", SuperOptions: "rw"},
		},
		"escaped": {
			line: `1 0 0:2 / /a\040b\011c\134d rw - tmpfs t\040t rw`,
			want: Mount{ID: 1, Device: "0:2", Root: "/", Point: "/a b\tc\\d", Options: "rw", Type: "tmpfs", Source: "t t", SuperOptions: "rw"},
		},
		"empty source": {
			line: "1 0 0:2 / /a rw - tmpfs  rw,size=1k",
			want: Mount{ID: 1, Device: "0:2", Root: "/", Point: "/a", Options: "rw", Type: "tmpfs", SuperOptions: "rw,size=1k"},
		},
		"no hyphen":       {line: "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 ext3 /dev/root rw", bad: true},
		"too short":       {line: "36 35 98:0 - ext3 /dev/root rw", bad: true},
		"id not a number": {line: "x 35 98:0 / / rw - ext3 /dev/root rw", bad: true},
		"no mount point":  {line: "36 35 98:0 /  rw - ext3 /dev/root rw", bad: true},
		"empty line":      {line: "", bad: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(strings.NewReader(tt.line + "\n"))
			if tt.bad {
				if !errors.Is(err, ErrMalformed) {
					t.Fatalf("got %+v, %v, want an error", got, err)
				}
				return
			}
			if diff := cmp.Diff(got, []Mount{tt.want}); err != nil || diff != "" {
				t.Errorf("error %v, -got +want\n%s", err, diff)
			}
		})
	}
}

// The options of an overlay with many layers are longer than what a bufio.Scanner
// or moby/sys/mountinfo reads.
func TestLongLine(t *testing.T) {
	lower := strings.Repeat("/var/lib/"+strings.Repeat("x", 500)+":", 500)
	got, err := Parse(strings.NewReader("1 0 0:2 / / rw - overlay none ro,lowerdir=" + lower + "\n"))
	if err != nil || len(got) != 1 || len(got[0].SuperOptions) < len(lower) {
		t.Errorf("got %d mounts, %v", len(got), err)
	}
	if _, err := Parse(strings.NewReader("1 0 0:2 / / rw - overlay none " + strings.Repeat("x", maxLine))); err == nil {
		t.Error("a line beyond the limit is no error")
	}
}

func TestSelf(t *testing.T) {
	table, err := Self()
	if err != nil || len(table) == 0 {
		t.Errorf("got %d mounts, %v", len(table), err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n")
	f.Add("1 2\n\\\n36 35 98:0 / /a\\9 rw - a b c")
	f.Fuzz(func(t *testing.T, text string) {
		table, err := Parse(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, m := range table {
			if m.Point == "" {
				t.Error("an empty mount point")
			}
			if got := Unescape(Escape(m.Point)); got != m.Point {
				t.Errorf("%q became %q", m.Point, got)
			}
		}
	})
}
