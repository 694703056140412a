package policy

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

func recorded(t *testing.T, text string) []byte {
	t.Helper()
	b := NewBaseline("b")
	for _, d := range read(t, "x.yaml", text) {
		r := Check(Rules(), &d)
		b.Add(&r)
		if len(r.Findings) > 0 {
			t.Errorf("%d findings are not in the baseline", len(r.Findings))
		}
	}
	data, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A baseline covers its findings in whatever order they come, and has the same bytes then.
func TestBaselineIsStable(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	first := recorded(t, writeObjects(r))
	for range 5 {
		text := writeObjects(r)
		if again := recorded(t, text); string(again) != string(first) {
			t.Fatalf("got %s, want %s", again, first)
		}
		b, err := ParseBaseline("b", first)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range read(t, "y.yaml", text) {
			found := Check(Rules(), &d)
			if b.Cover(&found); len(found.Findings) > 0 {
				t.Errorf("%d findings are new", len(found.Findings))
			}
		}
		if n := b.Gone(Rules()); n != 0 {
			t.Errorf("%d findings are gone", n)
		}
	}
}

// A baseline covers as many equal findings as it has, and no more.
func TestBaselineCounts(t *testing.T) {
	pod := "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {hostPID: true, containers: [{name: c, securityContext: {privileged: true}}]}\n"
	rules, err := Select([]string{"host-namespace", "privileged"})
	if err != nil {
		t.Fatal(err)
	}
	base := NewBaseline("b")
	check := func(b *Baseline, cover func(*Result), times int) (found, ignored int) {
		for _, d := range read(t, "x.yaml", strings.Repeat(pod+"---\n", times)) {
			r := Check(rules, &d)
			cover(&r)
			found, ignored = found+len(r.Findings), ignored+len(r.Ignored)
		}
		return found, ignored
	}
	check(base, base.Add, 2)
	data, err := base.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for times, want := range map[int][3]int{0: {0, 0, 4}, 1: {0, 2, 2}, 2: {0, 4, 0}, 3: {2, 4, 0}} {
		b, err := ParseBaseline("b", data)
		if err != nil {
			t.Fatal(err)
		}
		found, ignored := check(b, b.Cover, times)
		if got := [3]int{found, ignored, b.Gone(rules)}; got != want {
			t.Errorf("%d times: got %v, want %v", times, got, want)
		}
		if n := b.Gone(rules[:1]); n != want[2]/2 {
			t.Errorf("%d times: %d of one rule are gone", times, n)
		}
	}
}

// No part of a baseline is one, and neither is anything with a change in it.
func TestParseBaselineRefuses(t *testing.T) {
	const fingerprint = `"fingerprint": "1:00112233445566778899aabbccddeeff"`
	entry := `{"rule": "privileged", "path": "spec", "count": 1, ` + fingerprint + `}`
	file := func(findings string) string {
		return "{\"apiVersion\": \"adamant.sh/v1\", \"kind\": \"CheckBaseline\",\n\"findings\": [\n" + findings + "\n]}\n"
	}
	good := file(entry)
	if _, err := ParseBaseline("b", []byte(good)); err != nil {
		t.Fatal(err)
	}
	for i := range len(good) - 1 {
		if b, err := ParseBaseline("b", []byte(good[:i])); err == nil {
			t.Errorf("%q is taken for %v", good[:i], b)
		}
	}
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":            {"", "b:1: not a baseline: it ends too early"},
		"no object":          {"[]", "b:1: not a baseline: expected {, found ["},
		"another kind":       {strings.Replace(good, "CheckBaseline", "CheckReport", 1), "b:1: not a baseline: expected CheckBaseline, found CheckReport"},
		"another version":    {strings.Replace(good, "sh/v1", "sh/v2", 1), "expected adamant.sh/v1, found adamant.sh/v2"},
		"no findings":        {`{"apiVersion": "adamant.sh/v1", "kind": "CheckBaseline"}`, "findings is missing"},
		"null":               {strings.Replace(good, "[\n"+entry+"\n]", "null", 1), "b:2: not a baseline: expected [, found <nil>"},
		"more":               {good + "{}", "b:5: not a baseline: there is more behind it"},
		"a field":            {strings.Replace(good, `"findings"`, `"x": 1, "findings"`, 1), `unknown field "x"`},
		"twice":              {strings.Replace(good, `"findings"`, `"kind": "CheckBaseline", "findings"`, 1), "kind is there twice"},
		"an unknown field":   {file(strings.Replace(entry, "path", "paths", 1)), `b:3: not a baseline: json: unknown field "paths"`},
		"no count":           {file(strings.Replace(entry, `"count": 1`, `"count": 0`, 1)), "b:3: not a baseline: count is 0"},
		"a large count":      {file(strings.Replace(entry, `"count": 1`, `"count": 1e99`, 1)), "b:3: not a baseline: json: cannot unmarshal"},
		"no rule":            {file(strings.Replace(entry, "privileged", "", 1)), `rule "" cannot be in a baseline`},
		"about exceptions":   {file(strings.Replace(entry, "privileged", "exception-unused", 1)), `rule "exception-unused" cannot be in a baseline`},
		"a fingerprint":      {file(strings.Replace(entry, "1:00", "2:00", 1)), "is none of this version"},
		"a short one":        {file(strings.Replace(entry, "1:00", "1:", 1)), "is none of this version"},
		"a finding twice":    {file(entry + ",\n" + entry), "b:4: not a baseline: fingerprint 1:00112233445566778899aabbccddeeff is there twice"},
		"no comma":           {file(entry + "\n" + entry), "b:4: not a baseline: "},
		"marks of a merge":   {file("<<<<<<< HEAD\n" + entry), "b:3: not a baseline: invalid character '<' looking for beginning of value"},
		"a finding's number": {file("1"), "b:3: not a baseline: json: cannot unmarshal number"},
	} {
		_, err := ParseBaseline("b", []byte(tt.text))
		var typed *BaselineError
		if !errors.As(err, &typed) || !strings.Contains(err.Error(), tt.want) || typed.Mend() == "" {
			t.Errorf("%s: got %v, want %s", name, err, tt.want)
		}
	}
}

func FuzzParseBaseline(f *testing.F) {
	f.Add([]byte(`{"apiVersion": "adamant.sh/v1", "kind": "CheckBaseline", "findings": [{"rule": "privileged", "path": "spec", "count": 1, "fingerprint": "1:00112233445566778899aabbccddeeff"}]}`))
	f.Add([]byte("{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := ParseBaseline("b", data)
		if err != nil {
			return
		}
		encoded, err := b.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseBaseline("b", encoded)
		if err != nil || len(again.findings) != len(b.findings) || again.Gone(Rules()) != b.Gone(Rules()) {
			t.Errorf("%q is %q, which is %v, %v", data, encoded, again, err)
		}
	})
}
