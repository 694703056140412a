package learn

import (
	"strings"
	"testing"
)

// TestOutputIsEvidence compares what a command prints on a writable root, in several
// rounds, with what it prints sealed.
func TestOutputIsEvidence(t *testing.T) {
	for _, tc := range []struct {
		name             string
		writable, sealed []string // of each round
		want             string   // in the sealed result; empty if it is no evidence
	}{
		{"the same", []string{"OK"}, []string{"OK"}, ""},
		{"redis-cli save exits 0", []string{"OK"}, []string{"ERR"}, `prints "ERR"`},
		{"read-only file system", []string{"saved", "saved"}, []string{"save: Read-only file system"}, `prints "save: Read-only file system"`},
		{"an exception", []string{"done"}, []string{"java.io.IOException: x"}, "IOException"},
		{"it complained when writable", []string{"error: no license"}, []string{"error: no license, no disk"}, ""},
		{"another kind of complaint", []string{"error: no license"}, []string{"error: no space left on device"}, "no space left"},
		{"no complaint", []string{"12 passed"}, []string{"12 passed, 0 failed, errors: 0, no errors"}, ""},
		{"a count of failures", []string{"0 failed"}, []string{"3 failed"}, `prints "3 failed"`},
		{"numbers vary", []string{"pid 17 at 10.0.0.7:80 took 3.1 ms", "pid 18 at 10.0.0.7:80 took 3 ms"}, []string{"pid 311 at 10.0.0.9:80 took 0 ms"}, ""},
		{"times vary", []string{"Mon Jan 3 10:00:01 2026 2026-01-03T10:00:01Z", "Mon Jan 3 10:00:02 2026 2026-01-03T10:00:02Z"},
			[]string{"Tue Feb 14 00:00:00 2026 2026-02-14T00:00:00Z"}, ""},
		{"identities vary", []string{"id 550e8400-e29b-41d4-a716-446655440000 deadbeef", "id 0f8fad5b-d9cb-469f-a165-70867728950e cafebabe"},
			[]string{"id 7c9e6679-7425-40de-944b-e07fc1f90ae7 0badf00d"}, ""},
		{"the order varies", []string{"a\nb", "b\na"}, []string{"b\na"}, ""},
		{"it says how it ended", []string{"done 0", "done 0"}, []string{"done 1"}, `prints "done N"`},
		{"it prints nothing", []string{"yes", "yes"}, []string{""}, "prints less"},
		{"seen once when writable", []string{"yes"}, []string{"no"}, ""},
		{"it varied when writable", []string{"a\n", "b\n"}, []string{"c\n"}, ""},
		{"it varies when sealed", []string{"a", "a"}, []string{"a", "b"}, ""},
		{"one complaint of many rounds", []string{"OK", "OK"}, []string{"OK", "error: busy", "OK"}, ""},
		{"two complaints", []string{"OK", "OK"}, []string{"OK", "error: busy", "error: busy"}, "error: busy"},
	} {
		outcome := func(rounds []string) Outcome {
			o := Outcome{Result: "exit 0", OK: true}
			for _, text := range rounds {
				next := Outcome{Result: "exit 0", OK: true, prints: []printed{printOf(text, false)}}
				next.add(o)
				o = next
			}
			return o
		}
		got, _, alike := outcome(tc.sealed).against(outcome(tc.writable))
		if alike != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: got %q, %v, want %q", tc.name, got, alike, tc.want)
		}
	}
}

// TestLongOutput checks that only complaints are evidence if the beginning of an
// output is missing.
func TestLongOutput(t *testing.T) {
	cut := func(text string) Outcome {
		return Outcome{OK: true, prints: []printed{printOf(text, true), printOf(text, true)}}
	}
	if _, _, alike := cut("or: x\nb").against(cut("r: y\na")); !alike {
		t.Error("the rest of a line is evidence")
	}
	if _, _, alike := cut("x\nerror").against(cut("x\nfine")); alike {
		t.Error("a complaint is none")
	}
}

func TestNamesOfThePodVary(t *testing.T) {
	a, b := printOf("I am web-learn-0a1b2c3d", false, "web-learn-0a1b2c3d", "uid"), printOf("I am web-prove-99ffee00", false, "web-prove-99ffee00", "")
	if a.lines[0] != b.lines[0] {
		t.Errorf("got %q and %q", a.lines, b.lines)
	}
}
