package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/adamant-sh/adamant/internal/servers/inventory"
)

func TestLimits(t *testing.T) {
	deep := func(unit string, n int) string { return strings.Repeat(unit, n) }
	for _, tt := range []struct {
		name, file, text, want string
	}{
		{"a large file", "h", deep("#", 8<<20+1), "larger than 8 MiB"},
		{"a large ssh_config", "config", deep("#", 8<<20+1), "larger than 8 MiB"},
		{"a long name", "h", deep("a", 513), "is too long"},
		{"a long range", "h", deep("a", 513) + "[1:2]", "is too long"},
		{"hosts named too often", "h", deep("h[1:99999]\n", 11), "are named more than 1000000 times"},
		{"deep groups", "h.yml", deep("{a: {children: ", 40) + deep("}}", 40), "h.yml:1: "},
		{"many aliases", "h.yml", "a: &a {children: {b: *a, c: *a}}", "h.yml:1: "},
		{"nested brackets", "h.yml", deep("[", 20000), "not YAML"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := files{"h": "", tt.file: tt.text}
			name := tt.file
			if name == "config" {
				name = "h"
			}
			if _, err := f.selectAll(t, name); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %.200v, want %s", err, tt.want)
			}
		})
	}
}

// A long chain of groups is not a cycle, and needs no deep stack.
func TestDeepGroups(t *testing.T) {
	var ini strings.Builder
	ini.WriteString("[g0]\nh ansible_port=23\n")
	for i := range 5000 {
		fmt.Fprintf(&ini, "[g%d:children]\ng%d\n", i+1, i)
	}
	ini.WriteString("[g5000:vars]\nansible_user=u\n")
	hosts, err := files{"h": ini.String()}.selectAll(t, "h")
	if err != nil || len(hosts) != 1 || hosts[0].User != "u" {
		t.Errorf("got %d hosts, %v", len(hosts), err)
	}
}

func TestWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := inventory.Options{Inventories: []string{filepath.Join(dir, "pipe")}, Home: dir, User: "me"}
	if _, err := inventory.Load(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a pipe: got %v", err)
	}
	o.Inventories = []string{filepath.Join(dir, "missing")}
	if _, err := inventory.Load(t.Context(), o); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing: got %v", err)
	}
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho {}\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	o.Inventories = []string{script}
	if _, err := inventory.Load(t.Context(), o); err == nil || !strings.Contains(err.Error(), "an inventory script, and none are run") {
		t.Errorf("a script: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o.Inventories = []string{dir}
	if _, err := inventory.Load(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: got %v", err)
	}
}
