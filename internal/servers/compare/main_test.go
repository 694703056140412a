package compare

import (
	"testing"

	"github.com/adamant-sh/adamant/internal/servers/facts"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func fact(section facts.Section, key, value string) facts.Fact {
	return facts.Fact{Section: section, Key: key, Value: value}
}
