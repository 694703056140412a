package boundedjson_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/servers/boundedjson"
)

// many repeats a text up to a number of bytes.
func many(text string, bytes int) string { return strings.Repeat(text, bytes/len(text)) }

func TestHostileMessages(t *testing.T) {
	type node struct{ A, B, C, D, E, F string }
	var into struct {
		List [][]node
		Map  map[string]string
		N    int
	}
	for name, test := range map[string]struct{ text, says string }{
		"nothing":         {"", "unexpected end"},
		"no JSON":         {"\x1b[2J", `\x1b`},
		"many nothings":   {`{"list":[[` + many("0,", 8<<20) + `0]]}`, "more than 524288 elements"},
		"many objects":    {`{"list":[[` + many("{},", 8<<20) + `{}]]}`, "more than 524288 elements"},
		"many lists":      {`{"list":[` + many("[],", 8<<20) + `[]]}`, "more than 524288 elements"},
		"a long text":     {`{"map":{"a":"` + many("a,", 2<<20) + `"}}`, "more than 1048576 bytes"},
		"a long key":      {`{"map":{"` + many(`\"`, 2<<20) + `":""}}`, "more than 1048576 bytes"},
		"a long number":   {`{"n":` + many("9", 2<<20) + `}`, "more than 1048576 bytes"},
		"a large number":  {`{"n":` + many("9", 1<<19) + `}`, "cannot unmarshal number 999"},
		"deep":            {many("[", 1<<20), "nested more than 32 deep"},
		"an open text":    {`{"map":{"a":"` + "\\", "string escape"},
		"too many bytes":  {many(" ", boundedjson.MaxSize+1), "more than 67108864 bytes"},
		"a wrong message": {`{"n":"\u001b[31m"}`, "cannot unmarshal string"},
	} {
		t.Run(name, func(t *testing.T) {
			err := boundedjson.Unmarshal([]byte(test.text), &into)
			if err == nil || !strings.Contains(err.Error(), test.says) || len(err.Error()) > 1000 || strings.ContainsAny(err.Error(), "\x1b\n") {
				t.Errorf("got %.2000v, want it to say %q", err, test.says)
			}
		})
	}
}

// Within the bounds the result is that of encoding/json.
func FuzzUnmarshal(f *testing.F) {
	for _, seed := range []string{`{"a":["]","[\\",{"b":",:{}"}]}`, `[1,2,[3,[]]]`, `"\"`, `{"a"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var want, got any
		wantErr, err := json.Unmarshal(data, &want), boundedjson.Unmarshal(data, &got)
		if (wantErr == nil) != (err == nil) && !strings.Contains(err.Error(), "nested") {
			t.Fatalf("got %v, want %v", err, wantErr)
		}
		if err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// UnmarshalLarge accepts large texts, but not many elements.
func TestLargeTexts(t *testing.T) {
	var v any
	text := `"` + strings.Repeat("x", 2<<20) + `"`
	if err := boundedjson.Unmarshal([]byte(text), &v); err == nil {
		t.Error("a large text was taken as a message")
	}
	if err := boundedjson.UnmarshalLarge([]byte(text), &v, 4<<20); err != nil {
		t.Error(err)
	}
	for name, text := range map[string]string{"large": text + text + text, "list": "[" + strings.Repeat("0,", 1<<20) + "0]", "deep": strings.Repeat("[", 1<<10)} {
		if err := boundedjson.UnmarshalLarge([]byte(text), &v, 4<<20); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
