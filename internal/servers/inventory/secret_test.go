package inventory_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/adamant-sh/adamant/internal/servers/inventory"
)

// No way to write a secret shows it.
func TestSecretsAreNotShown(t *testing.T) {
	secret := inventory.NewSecret("hunter2")
	h := inventory.Host{Name: "h", Password: secret, Become: inventory.Become{Password: secret}}
	type buried struct{ become inventory.Become }
	values := map[string]any{
		"secret": secret, "pointer": &secret, "host": h, "pointer to a host": &h, "list": []inventory.Host{h},
		"unexported": buried{h.Become}, "error": fmt.Errorf("x: %v", secret),
	}
	var out bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&out, nil))
	for name, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%U", "%10.3s"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		fmt.Fprintln(&out, v)
		logger.Info(name, "value", v)
		slog.New(slog.NewTextHandler(&out, nil)).Info(name, "value", v)
		for _, marshal := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal, xml.Marshal} {
			text, _ := marshal(v)
			out.Write(text)
		}
	}
	for _, shown := range []string{"hunter2", "hun", fmt.Sprintf("%x", "hunter2"), fmt.Sprintf("%X", "hunter2"), "104 117 110"} {
		if strings.Contains(out.String(), shown) {
			t.Errorf("shows %q", shown)
		}
	}
	if secret.Reveal() != "hunter2" || secret.IsZero() || secret.String() != "(secret)" {
		t.Error("is not there for the one who asks")
	}
}

func TestNoSecret(t *testing.T) {
	var none inventory.Secret
	text, err := json.Marshal(struct{ A inventory.Secret }{none})
	if !none.IsZero() || none.Reveal() != "" || none.String() != "" || err != nil || string(text) != `{"A":""}` {
		t.Errorf("got %q, %s, %v", none, text, err)
	}
	if !none.Equal(inventory.NewSecret("")) || none.Equal(inventory.NewSecret("a")) {
		t.Error("compared wrongly")
	}
}

// Secrets are not shown in an inventory either, nor in errors about their line.
func TestInventoriesDoNotShowSecrets(t *testing.T) {
	inv := files{"h": "a ansible_become_pass=hunter2 ansible_port=x\n"}.mustLoad(t, "h")
	_, err := mustSelect(inv, "a")
	if err == nil {
		t.Fatal("no error")
	}
	if text := fmt.Sprintf("%v %+v %#v %v", inv, inv, inv, err); strings.Contains(text, "hunter2") {
		t.Error(text)
	}
}
