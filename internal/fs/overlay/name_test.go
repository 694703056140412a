package overlay

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDockerName(t *testing.T) {
	id := strings.Repeat("ab", 32)
	data := t.TempDir() // the data directory may be anywhere
	write := func(name, content string) {
		t.Helper()
		name = filepath.Join(data, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("bundle/config.json", `{"mounts":[{"destination":"/proc","source":"proc"},{"destination":"/x","source":"/containers/x"},
		{"destination":"/etc/hosts","source":"`+data+`/containers/`+id+`/hosts"}]}`)
	write("containers/"+id+"/config.v2.json", `{"ID":"`+id+`","Name":"/my_web","State":{}}`)
	b := Bundle{Dir: data + "/bundle"}
	if got := dockerName(b, id); got != "my_web" {
		t.Errorf("got %q, want my_web", got)
	}
	for name, config := range map[string]string{
		"of another container": `{"ID":"` + strings.Repeat("cd", 32) + `","Name":"/other"}`,
		"not JSON":             `{`,
	} {
		write("containers/"+id+"/config.v2.json", config)
		if got := dockerName(b, id); got != "" {
			t.Errorf("%s: got %q", name, got)
		}
	}
}
