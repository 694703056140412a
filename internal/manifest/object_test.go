package manifest

import (
	"testing"
)

func TestDecode(t *testing.T) {
	type inner struct {
		URL string `json:"url,omitempty"`
	}
	type config struct {
		Name  string `json:"name,omitempty"`
		Inner *inner `json:"inner,omitempty"`
	}
	for name, tt := range map[string]struct{ text, want string }{
		"valid":           {"name: a\ninner: {url: b}\n", ""},
		"unknown field":   {"name: a\ninner:\n  ulr: b\n", "f.yaml:3:3: inner.ulr: unknown field (did you mean url?)"},
		"duplicate field": {"name: a\nname: b\n", `f.yaml:2:1: duplicate key "name" (it is already set on line 1; only one of the two can count)`},
		"wrong type":      {"name: [a]\n", "f.yaml:1:7: name: expected a string, found a list"},
		"empty":           {"", "f.yaml: expected one document, found 0"},
		"two documents":   {"name: a\n---\nname: b\n", "f.yaml: expected one document, found 2"},
		"no mapping":      {"- a\n", "f.yaml:1:1: expected a mapping, found a list"},
	} {
		t.Run(name, func(t *testing.T) {
			var c config
			o, err := Decode("f.yaml", []byte(tt.text), &c)
			if tt.want == "" {
				if err != nil || c.Name != "a" || c.Inner.URL != "b" {
					t.Fatalf("got %+v, %v", c, err)
				}
				if got, want := o.Fail("bad", "hint", "inner", "url").Error(), "f.yaml:2:14: inner.url: bad (hint)"; got != want {
					t.Errorf("got %q, want %q", got, want)
				}
				if got, want := o.Fail("bad", "", "other").Error(), "f.yaml: other: bad"; got != want {
					t.Errorf("got %q, want %q", got, want)
				}
				return
			}
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}
