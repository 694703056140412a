package learn

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/learn/profile"
	"github.com/adamant-sh/adamant/test/appimage"
)

func TestCompareRestarts(t *testing.T) {
	ok := func(answers ...string) []Outcome {
		var out []Outcome
		for _, a := range answers {
			out = append(out, Outcome{Load: "save", Result: a, OK: a == "exit 0"})
		}
		return out
	}
	good := trial{Healthy: true, Again: ok("exit 0"), Repeated: ok("exit 0"), Restarts: []restart{{When: underLoad, Outcomes: ok("exit 0")}}}
	with := func(change func(*trial)) trial {
		other := good
		other.Restarts = append([]restart{}, good.Restarts...)
		change(&other)
		return other
	}
	dies := with(func(t *trial) {
		t.Restarts[0] = restart{When: underLoad, Container: "app", Failure: "container app ended with exit code 1\n    already running", Kept: []string{"/run/app.pid"}}
	})
	roots := containerRoots{"app": {Rootfs: profile.Rootfs{Tree: treeOf(t)}}}
	for _, tc := range []struct {
		name          string
		ref, sealed   trial
		reasons, weak string
	}{
		{"alike", good, good, "", ""},
		{"it does not start again", good, dies, "container app does not start again: container app ended with exit code 1", ""},
		{"what is left is named", good, dies, "a writable root is new: /run/app.pid", ""},
		{"nor does the reference", dies, dies, "", "it does not start again with a writable root either"},
		{"only the reference does not", dies, good, "", "it does not start again with a writable root either"},
		{"other answers", good, with(func(t *trial) { t.Restarts[0].Outcomes = ok("exit 1") }), "after a restart under load: load save: exit 1 when sealed, exit 0 when writable", ""},
		{"other answers the second time", good, with(func(t *trial) { t.Repeated = ok("exit 1") }), "the second time: load save: exit 1 when sealed", ""},
		{"load that works once", with(func(t *trial) { t.Repeated, t.Restarts[0].Outcomes = ok("exit 1"), ok("exit 0") }),
			with(func(t *trial) { t.Repeated, t.Restarts[0].Outcomes = ok("exit 1"), ok("exit 1") }), "", "load save works only once"},
		{"better answers", with(func(t *trial) { t.Restarts[0].Outcomes = ok("exit 1") }), good, "", "load save: exit 1 with a writable root after a restart"},
		{"neither was killed", with(func(t *trial) { t.Restarts = nil }), with(func(t *trial) { t.Restarts = nil }), "", ""},
	} {
		var p Proof
		p.compareRestarts(tc.ref, tc.sealed, roots)
		reasons, weak := strings.Join(p.Reasons, "\n"), strings.Join(p.Weak, "\n")
		if !strings.Contains(reasons, tc.reasons) || (reasons == "") != (tc.reasons == "") {
			t.Errorf("%s: reasons %q, want %q in them", tc.name, reasons, tc.reasons)
		}
		if !strings.Contains(weak, tc.weak) || (weak == "") != (tc.weak == "") {
			t.Errorf("%s: weak %q, want %q in it", tc.name, weak, tc.weak)
		}
	}
}

func TestSuspects(t *testing.T) {
	image := profile.Rootfs{Tree: treeOf(t, tree.Entry{Path: "/run", Kind: tree.Directory, Mode: 0o755}, tree.Entry{Path: "/run/of-image", Kind: tree.Regular})}
	kept := []string{"/run/a", "/run/b", "/run/c", "/run/of-image", "/run/app.pid", "/run/state/ready"}
	for _, tc := range []struct {
		name, log string
		want      []string
	}{
		{"process numbers first", "", []string{"/run/app.pid", "/run/a", "/run/b"}},
		{"what the log names before", "state /run/state/ready is stale", []string{"/run/state/ready", "/run/app.pid", "/run/a"}},
	} {
		if d := cmp.Diff(suspects(kept, image, tc.log), tc.want); d != "" {
			t.Errorf("%s (-got +want):\n%s", tc.name, d)
		}
	}
	if got := suspects([]string{"/run/of-image"}, image, ""); len(got) > 0 {
		t.Errorf("got %q, which a new root has too", got)
	}
}

// TestVerdicts learns programs that work at first, and are proven, weak or not.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	e := open(t)
	loadApp(t, e, "odd")
	for _, tc := range []struct {
		name, container string
		verdict         profile.Verdict
		says            string // in the summary
		mounts          []string
		quiet           time.Duration // 1 s if zero
	}{
		{"a stale file of a process number", `command: [bash, -c, "[ -e /run/app.pid ] && { echo already running; exit 1; }; echo $$ > /run/app.pid; sleep infinity & wait"]`,
			profile.Unproven, "a writable root is new: /run/app.pid", []string{"/run"}, 0},
		{"a stale file that it finds late", `command: [bash, -c, "[ -e /run/app.pid ] && { sleep 2; exit 1; }; echo $$ > /run/app.pid; sleep infinity & wait"]`,
			profile.Unproven, "after it was killed idle, container app does not start again", []string{"/run"}, 4 * time.Second},
		{"content that it moves away", `command: [bash, -c, "mv /etc/skel/.profile /etc/skel/used && exec sleep infinity"]`,
			profile.Unproven, "a writable root is new: /etc/skel/used", []string{"/etc/skel"}, 0},
		{"it waits for a database", `command: [bash, -c, "until (exec 3<>/dev/tcp/127.0.0.1/5432) 2>/dev/null; do echo waiting for db; sleep 0.2; done; exec sleep infinity"]`,
			profile.Weak, "container app: waiting for db; it was not exercised", nil, 0},
		{"it is exercised and writes nothing", `command: [python3, -m, http.server, "8000"], ports: [{containerPort: 8000}]`,
			profile.Proven, "proven: healthy", nil, 0},
		{"it recovers its data for longer than a start takes", `command: [sh, -c, "[ -e /srv/data ] && sleep 12; touch /srv/data; exec python3 -m http.server 8000"], ports: [{containerPort: 8000}]`,
			profile.Proven, "proven: healthy", []string{"/srv"}, 0},
		{"it writes long after its stop signal", `command: [sh, -c, "trap 'sleep 11; echo s > /srv/state; exit 0' TERM; while :; do sleep 0.2; done"], readinessProbe: {exec: {command: ["true"]}}`,
			profile.Proven, "proven: healthy", []string{"/srv"}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := parseWorkload(t, fmt.Sprintf(`{apiVersion: v1, kind: Pod, metadata: {name: verdict}, spec: {containers: [{name: app, image: %q, %s}]}}`,
				appimage.Reference("odd"), tc.container))
			l, err := Learn(t.Context(), Options{Engine: e, Load: Load{Quiet: orElse(tc.quiet, time.Second)}, Say: t.Logf}, s)
			if err != nil {
				t.Fatal(err)
			}
			if p := l.Profile; p.Verdict != tc.verdict || l.Proof.Verdict != tc.verdict || !strings.Contains(l.Proof.Summary(), tc.says) {
				t.Errorf("got %s and %s, want %s with %q in %q", p.Verdict, l.Proof.Verdict, tc.verdict, tc.says, l.Proof.Summary())
			}
			if d := cmp.Diff(mounts(l.Profile, "app"), tc.mounts); d != "" {
				t.Errorf("volumes (-got +want):\n%s", d)
			}
			if err := sealBy(s.File, []profile.Profile{l.Profile}, false, func(note string) { t.Log(note) }); (err == nil) != (tc.verdict != profile.Unproven) {
				t.Errorf("sealing by it: %v", err)
			}
		})
	}
}
