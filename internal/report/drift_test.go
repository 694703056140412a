package report

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

func example() drift.Report {
	file := func(path string, mode uint32, size int64) *tree.Entry {
		return &tree.Entry{Path: path, Kind: tree.Regular, Mode: mode, Size: size}
	}
	link := func(target string) *tree.Entry {
		return &tree.Entry{Path: "/lib", Kind: tree.Symlink, Mode: 0o777, Target: target}
	}
	with := func(e *tree.Entry, xattrs map[string]string) *tree.Entry {
		e.Xattrs = xattrs
		return e
	}
	return drift.Report{
		Changes: []drift.Change{
			{
				Path: "/bin/x\x1b[2J", Kind: drift.Added, Class: drift.Executable, Severity: drift.High,
				Reason: "program outside writable places", Got: file("/bin/x\x1b[2J", 0o755, 7), Diff: "(binary: nothing → 7 bytes)\n",
			},
			{
				Path: "/etc/passwd", Kind: drift.Changed, Fields: []string{"content", "mode"}, Class: drift.Config, Severity: drift.Critical,
				Reason: "accounts", Want: file("/etc/passwd", 0o644, 3), Got: file("/etc/passwd", 0o666, 12),
				Diff: "--- a/etc/passwd\n+++ b/etc/passwd\n@@ -1 +1 @@\n-a\n+b\n",
			},
			{
				Path: "/lib", Kind: drift.Changed, Fields: []string{"target"}, Class: drift.Data, Severity: drift.Medium,
				Reason: "data of the image", Want: link("usr/lib"), Got: link("/tmp\n"),
			},
			{
				Path: "/srv/\xff", Kind: drift.Changed, Fields: []string{"xattr", "capability"}, Class: drift.Data, Severity: drift.Medium, Reason: "data of the image",
				Want: with(file("/srv/\xff", 0o644, 1), map[string]string{"user.a": "1", "user.b": "x"}),
				Got:  with(file("/srv/\xff", 0o644, 1), map[string]string{"user.a": "2", "user.c": "password=hunter2", tree.CapabilityXattr: "\x01\x02"}),
			},
		},
		Unknowns: []tree.Unknown{{Path: "/var/db", Err: tree.ErrChanged}},
	}
}

func TestDrift(t *testing.T) {
	const text = `web\x1b: 4 changes (1 critical, 1 high, 2 medium), 1 unknown

CRITICAL
  ~ /etc/passwd  content 3 → 12 bytes, mode 0644 → 0666  (configuration: accounts)
      --- a/etc/passwd
      +++ b/etc/passwd
      @@ -1 +1 @@
      -a
      +b

HIGH
  + /bin/x\x1b[2J  added  (executable: program outside writable places)
      (binary: nothing → 7 bytes)

MEDIUM
  ~ /lib  target usr/lib → /tmp\x0a  (data: data of the image)
  ~ /srv/\xff  xattr ~user.a -user.b +user.c, capability none → 0x0102  (data: data of the image)

UNKNOWN: could not be compared
  ? /var/db  (changed while it was read)
`
	var got bytes.Buffer
	if err := Drift(&got, "web\x1b", example(), DriftOptions{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got.String(), text); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}

func TestDriftSaysWhatIsNoOrdinaryFile(t *testing.T) {
	entries := []tree.Entry{
		{Path: "/d", Kind: tree.Directory}, {Path: "/f", Kind: tree.FIFO}, {Path: "/l", Kind: tree.Symlink, Target: "/etc\r"},
		{Path: "/n", Kind: tree.BlockDevice, Major: 8, Minor: 1}, {Path: "/s", Kind: tree.Socket},
	}
	var r drift.Report
	for _, e := range entries {
		r.Changes = append(r.Changes, drift.Change{Path: e.Path, Kind: drift.Added, Class: drift.Data, Severity: drift.Low, Got: &e})
	}
	const want = `web: 5 changes (5 low)

LOW
  + /d  added directory  (data)
  + /f  added FIFO  (data)
  + /l  added symbolic link → /etc\x0d  (data)
  + /n  added block device 8:1  (data)
  + /s  added socket  (data)
`
	var got bytes.Buffer
	if err := Drift(&got, "web", r, DriftOptions{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got.String(), want); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}

func TestDriftClean(t *testing.T) {
	var got bytes.Buffer
	if err := Drift(&got, "web", drift.Report{}, DriftOptions{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got.String(), "web: no drift\n"); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}

func TestDriftOfUnknownsOnlyIsNotClean(t *testing.T) {
	var got bytes.Buffer
	r := drift.Report{Unknowns: []tree.Unknown{{Path: "/a", Err: errors.New("i/o error")}}}
	if err := Drift(&got, "web", r, DriftOptions{}); err != nil {
		t.Fatal(err)
	}
	want := "web: no changes, 1 unknown\n\nUNKNOWN: could not be compared\n  ? /a  (i/o error)\n"
	if diff := cmp.Diff(got.String(), want); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}

func TestDriftTellsWhatIsNotListed(t *testing.T) {
	long := "/" + strings.Repeat("d", 5000)
	r := drift.Report{
		Changes:  []drift.Change{{Path: long, Kind: drift.Added, Class: drift.Data, Severity: drift.Low, Got: &tree.Entry{Kind: tree.Regular}}},
		Unknowns: []tree.Unknown{{Path: "/a", Err: tree.ErrChanged}},
		Omitted:  map[drift.Severity]int{drift.Low: 3, drift.High: 1}, OmittedUnknowns: 7,
		Programs: []drift.Change{
			{Path: "/data/tool", Kind: drift.Added, Class: drift.Executable}, {Path: "/data/x.sh", Kind: drift.Changed, Class: drift.Script},
		},
		OmittedPrograms: 2, PrivateMounts: []int{4711, 4712}, OmittedPrivateMounts: 1,
	}
	var got bytes.Buffer
	if err := Drift(&got, "web", r, DriftOptions{}); err != nil {
		t.Fatal(err)
	}
	want := `web: 5 changes (1 high, 4 low), 8 unknown

LOW
  + /` + strings.Repeat("d", 255) + ` … (a path of 5001 bytes) … ` + strings.Repeat("d", 256) + `  added  (data)

4 further changes not listed (1 high, 3 low)

PROGRAMS IN VOLUMES: not of the image, which is no drift
  * /data/tool  new  (executable)
  * /data/x.sh  not as in the image  (script)
  * … 2 more

PRIVATE MOUNTS: in user namespaces that the container made, which is no drift
  * process 4711
  * process 4712
  * … 1 more

UNKNOWN: could not be compared
  ? /a  (changed while it was read)
  ? … 7 more
`
	if diff := cmp.Diff(got.String(), want); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
	summary := NewDriftReport("web", r).Summary
	wantSummary := DriftSummary{
		Changes: 5, Unknowns: 8, OmittedChanges: 4, OmittedUnknowns: 7,
		Severities: map[drift.Severity]int{drift.Critical: 0, drift.High: 1, drift.Medium: 0, drift.Low: 4},
	}
	if diff := cmp.Diff(summary, wantSummary); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}

func TestDriftColor(t *testing.T) {
	var got bytes.Buffer
	r := drift.Report{Changes: []drift.Change{{
		Path: "/a", Kind: drift.Added, Class: drift.Data, Severity: drift.Low, Reason: "new data",
		Got: &tree.Entry{Kind: tree.Regular}, Diff: "+\x1b[2J\n",
	}}}
	if err := Drift(&got, "web", r, DriftOptions{color: true}); err != nil {
		t.Fatal(err)
	}
	want := "web: 1 change (1 low)\n\n\x1b[1mLOW\x1b[0m\n  \x1b[32m+\x1b[0m \x1b[1m/a\x1b[0m  added  (data: new data)\n" +
		"      \x1b[32m+\\x1b[2J\x1b[0m\n"
	if diff := cmp.Diff(got.String(), want); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}

func TestDriftFoldsDirectories(t *testing.T) {
	dir := &tree.Entry{Kind: tree.Directory}
	file := &tree.Entry{Kind: tree.Regular}
	r := drift.Report{Changes: []drift.Change{
		{Path: "/opt", Kind: drift.Deleted, Class: drift.Data, Severity: drift.Low, Want: dir},
		{Path: "/opt/bin", Kind: drift.Deleted, Class: drift.Executable, Severity: drift.High, Want: file},
	}}
	for i := range 9 {
		r.Changes = append(r.Changes, drift.Change{Path: fmt.Sprint("/opt/f", i), Kind: drift.Deleted, Class: drift.Data, Severity: drift.Low, Want: file})
	}
	r.Changes = append(r.Changes, drift.Change{Path: "/opt2", Kind: drift.Deleted, Class: drift.Data, Severity: drift.Low, Want: file, From: "/x"})
	tests := map[string]struct {
		opts DriftOptions
		want string
	}{
		"folded": {DriftOptions{}, `web: 12 changes (1 high, 11 low)

HIGH
  - /opt/bin  deleted  (executable)

LOW
  - /opt  deleted directory  (data)
  - /opt/f0  deleted  (data)
  - /opt/f1  deleted  (data)
  - /opt/f2  deleted  (data)
  - /opt/f3  deleted  (data)
  - … 5 more below /opt
  - /opt2  deleted, was /x  (data)
`},
		"all": {DriftOptions{All: true}, `web: 12 changes (1 high, 11 low)

HIGH
  - /opt/bin  deleted  (executable)

LOW
  - /opt  deleted directory  (data)
  - /opt/f0  deleted  (data)
  - /opt/f1  deleted  (data)
  - /opt/f2  deleted  (data)
  - /opt/f3  deleted  (data)
  - /opt/f4  deleted  (data)
  - /opt/f5  deleted  (data)
  - /opt/f6  deleted  (data)
  - /opt/f7  deleted  (data)
  - /opt/f8  deleted  (data)
  - /opt2  deleted, was /x  (data)
`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := Drift(&got, "web", r, tt.opts); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got.String(), tt.want); diff != "" {
				t.Errorf("-got +want\n%s", diff)
			}
		})
	}
}

func TestDriftJSON(t *testing.T) {
	const want = `{
  "apiVersion": "adamant.sh/v1",
  "kind": "DriftReport",
  "name": "web",
  "summary": {
    "clean": false,
    "changes": 1,
    "unknowns": 1,
    "severities": {
      "critical": 0,
      "high": 0,
      "low": 0,
      "medium": 1
    }
  },
  "changes": [
    {
      "path": "/srv/\\xff",
      "kind": "changed",
      "fields": [
        "xattr",
        "capability"
      ],
      "class": "data",
      "severity": "medium",
      "reason": "data of the image",
      "want": {
        "type": "regular file",
        "mode": "0644",
        "uid": 0,
        "gid": 0,
        "size": 1,
        "xattrs": {
          "user.a": "1",
          "user.b": "x"
        }
      },
      "got": {
        "type": "regular file",
        "mode": "0644",
        "uid": 0,
        "gid": 0,
        "size": 1,
        "xattrs": {
          "security.capability": "0x0102",
          "user.a": "2",
          "user.c": "password=[redacted value]"
        }
      }
    }
  ],
  "unknowns": [
    {
      "path": "/var/db",
      "reason": "changed while it was read"
    }
  ]
}
`
	r := example()
	r.Changes = r.Changes[3:]
	var got bytes.Buffer
	if err := writeJSON(&got, NewDriftReport("web", r)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got.String(), want); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}

func TestDriftJSONOfCleanInstance(t *testing.T) {
	const want = `{
  "apiVersion": "adamant.sh/v1",
  "kind": "DriftReport",
  "name": "web",
  "summary": {
    "clean": true,
    "changes": 0,
    "unknowns": 0,
    "severities": {
      "critical": 0,
      "high": 0,
      "low": 0,
      "medium": 0
    }
  },
  "changes": [],
  "unknowns": []
}
`
	var got bytes.Buffer
	if err := writeJSON(&got, NewDriftReport("web", drift.Report{})); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got.String(), want); diff != "" {
		t.Errorf("-got +want\n%s", diff)
	}
}
