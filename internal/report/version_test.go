package report

import (
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/pod"
)

func TestVersion(t *testing.T) {
	info := &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "abc123"}, {Key: "vcs.time", Value: "2026-11-30T00:00:00Z"}, {Key: "vcs.modified", Value: "true"},
	}}
	runc := pod.Tool{Path: "/usr/bin/runc"}
	for name, c := range map[string]struct {
		info *debug.BuildInfo
		want []string
	}{
		"clone": {info, []string{"adamant version v1.2.3\n", "commit      abc123, with changes\n", "kernel      6.18.5\n", "containerd  not found\n",
			"runc        unknown version (/usr/bin/runc)\n"}},
		"no build information": {nil, []string{"adamant version (devel)\n", "commit      unknown"}},
	} {
		t.Run(name, func(t *testing.T) {
			v := NewVersion(c.info, "6.18.5", pod.Tool{}, runc)
			var got strings.Builder
			if err := v.WriteText(&got, false); err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if !strings.Contains(got.String(), want) {
					t.Errorf("no %q in\n%s", want, got.String())
				}
			}
		})
	}
	if got := NewVersion(info, "", pod.Tool{}, runc).Committed; !got.Equal(time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("the commit is of %s", got)
	}
}
