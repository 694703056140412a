package policy

import (
	"errors"
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// What a configuration has and Adamant does not know is an error at its place.
func TestParseConfigIsStrict(t *testing.T) {
	const good = "{rules: [privileged], selector: {kind: Pod}, until: 2027-03-31, owner: me, reason: why}"
	with := func(old, new string) string {
		return "exceptions:\n- " + good + "\n- " + strings.Replace(good, old, new, 1) + "\n"
	}
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":           {"# nothing\n", ""},
		"no exceptions":     {"exceptions: []\n", ""},
		"good":              {with("", ""), ""},
		"a quoted date":     {with("2027-03-31", `"2027-03-31"`), ""},
		"JSON":              {`{"exceptions": []}`, ""},
		"a list":            {"[]", "a.yaml:1: a configuration is one mapping, with the field exceptions"},
		"two":               {"exceptions: []\n---\nexceptions: []\n", "a.yaml:1: a configuration is one mapping, with the field exceptions"},
		"no YAML":           {"exceptions: [\n", "a.yaml:1:1: not YAML: did not find expected node content"},
		"a template":        {"exceptions: {{ x }}\n", "a.yaml:1:"},
		"twice":             {"exceptions: []\nexceptions: []\n", `a.yaml:2:1: duplicate key "exceptions" (write it once)`},
		"a field":           {with("owner:", "owners: x, owner:"), "a.yaml:3:67: exceptions[1].owners: unknown field (did you mean owner?)"},
		"in the selector":   {with("kind: Pod", "kinds: Pod"), "a.yaml:3:36: exceptions[1].selector.kinds: unknown field (did you mean kind?)"},
		"no mapping":        {"exceptions: [a]", `a.yaml:1:14: exceptions[0]: expected a mapping, found the string "a"`},
		"no list":           {"exceptions: {}", "a.yaml:1:1: exceptions: expected a list, found a mapping"},
		"a null":            {"exceptions:\n", "a.yaml:1:1: exceptions: expected a list, found null"},
		"an unknown rule":   {with("privileged", "privilege"), `a.yaml:3:4: exceptions[1].rules: unknown rule "privilege": did you mean privileged?`},
		"about exceptions":  {with("privileged", "exception-unused"), `exceptions[1].rules: findings of exception-unused cannot be ignored`},
		"no rules":          {with("[privileged]", "[]"), "exceptions[1]: it has no rules (rules: [root-not-read-only])"},
		"a rule":            {with("[privileged]", "privileged"), `exceptions[1].rules: expected a list, found the string "privileged"`},
		"no selector":       {with("selector: {kind: Pod}, ", ""), "exceptions[1]: it has no selector"},
		"an empty selector": {with("{kind: Pod}", "{}"), "exceptions[1]: it has no selector"},
		"a number":          {with("kind: Pod", "kind: 1"), "exceptions[1].selector.kind: expected a text, found the number 1"},
		"a pattern":         {with("kind: Pod", "name: 'a['"), `exceptions[1].selector.name: "a[" is not a pattern`},
		"a label":           {with("kind: Pod", "labels: {a: 1}"), `exceptions[1].selector.labels["a"]: expected a text, found the number 1`},
		"no owner":          {with("owner: me, ", ""), "a.yaml:3:3: exceptions[1].owner: it has no owner"},
		"an empty reason":   {with("reason: why", "reason: ''"), `a.yaml:3:78: exceptions[1].reason: expected a text, found`},
		"no date":           {with("until: 2027-03-31, ", ""), "exceptions[1].until: it has no end date: until is missing"},
		"a time":            {with("2027-03-31", "2027-03-31T00:00:00Z"), `exceptions[1].until: until is "2027-03-31T00:00:00Z": want a date such as 2027-03-31`},
		"large":             {strings.Repeat("#", MaxConfigSize+1), "a.yaml: larger than 1 MiB"},
		"many":              {"exceptions:\n" + strings.Repeat("- "+good+"\n", maxConfigExceptions+1), "exceptions[1000]: more than 1000 exceptions"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := ParseConfig("a.yaml", []byte(tt.text))
			var errs manifest.Errors
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v", err)
			case tt.want != "" && (!errors.As(err, &errs) || !strings.Contains(err.Error(), tt.want) || c != nil):
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte("exceptions:\n- {rules: [privileged], selector: {kind: Pod, labels: {a: b}}, until: 2027-03-31, owner: me, reason: why}\n"))
	f.Add([]byte("exceptions: &a [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig("a.yaml", data)
		if err != nil {
			return
		}
		for _, e := range c.Exceptions {
			if len(e.Rules) == 0 || e.Selector.isEmpty() || len(e.problems()) > 0 {
				t.Errorf("%q is taken for %+v", data, e)
			}
		}
	})
}
