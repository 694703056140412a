package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// contentOf returns the content of an image with directories, files and links. A path that
// ends in "/" is a directory, one that ends in "*" is executable, and "a>b" is a link to b.
func contentOf(t *testing.T, paths ...string) *ImageContent {
	t.Helper()
	var entries []tree.Entry
	for _, p := range paths {
		e := tree.Entry{Path: strings.TrimRight(p, "/*"), Kind: tree.Regular, Mode: 0o644, Size: 3, Digest: "sha256:" + strings.Repeat("0", 64)}
		if link, target, ok := strings.Cut(p, ">"); ok {
			e = tree.Entry{Path: link, Kind: tree.Symlink, Mode: 0o777, Target: target}
		} else if strings.HasSuffix(p, "/") {
			e = tree.Entry{Path: e.Path, Kind: tree.Directory, Mode: 0o755}
		} else if strings.HasSuffix(p, "*") {
			e.Mode = 0o755
		}
		entries = append(entries, e)
	}
	all, err := tree.New(entries)
	if err != nil {
		t.Fatal(err)
	}
	return &ImageContent{Tree: all}
}

// TestImageContent checks that the content of an image decides which files a volume hides and
// where code is, and not the names of directories.
func TestImageContent(t *testing.T) {
	const index = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	const child = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
	content := contentOf(t, "/app/", "/app/cache/", "/data/", "/data/a", "/data/b", "/etc/", "/etc/app/", "/etc/app/only.conf", "/run/", "/run/x", "/srv/", "/srv/plain/", "/srv/plain/start*",
		"/srv/settings/", "/srv/settings/a.yaml*", "/var/", "/var/run>../run", "/tools/", "/tools/run/")
	content.Path, content.Entrypoint, content.WorkDir = []string{"/bin", "/tools/run"}, []string{"./lib/serve"}, "/tools"
	content.Digest, content.Index = child, index
	check := func(mounts, image, more string) []string {
		text := "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  volumes: [{name: e, emptyDir: {}}, {name: p, persistentVolumeClaim: {claimName: p}}]\n" +
			"  containers:\n  - {name: c, image: \"" + image + "\", volumeMounts: [" + mounts + "]" + more + "}\n"
		rules, err := Select([]string{"writable-over-code", "hides-image-content", ImageNotPinned})
		if err != nil {
			t.Fatal(err)
		}
		checker := Checker{Rules: rules, Image: func(reference string) *ImageContent {
			if strings.HasPrefix(reference, "known") {
				return content
			}
			return nil
		}}
		messages := []string{}
		for _, d := range read(t, "a.yaml", text) {
			for _, f := range checker.Check(&d).Findings {
				messages = append(messages, f.Rule+": "+f.Message)
			}
		}
		return messages
	}
	for _, c := range []struct {
		name, mounts, image, more string
		want                      []string
	}{
		{"no code and no files there", "{name: e, mountPath: /app}", "known@" + index, "", nil},
		{"by convention", "{name: e, mountPath: /app}", "unknown@" + index, "", []string{
			"writable-over-code: volume e is writable at /app, where programs are by convention",
			"hides-image-content: volume e is empty and hides what the image has in /app"}},
		{"the image lacks the directory", "{name: p, mountPath: /opt/tool/plugins}", "known@" + index, "", []string{
			"writable-over-code: volume p is writable at /opt/tool/plugins, where programs are by convention"}},
		{"files", "{name: e, mountPath: /data}", "known@" + index, "", []string{
			"hides-image-content: volume e is empty and hides 2 files that the image has in /data, such as /data/a"}},
		{"one file", "{name: e, mountPath: /etc/app}", "known@" + index, "", []string{"hides-image-content: volume e is empty and hides /etc/app/only.conf of the image"}},
		{"a claim hides by intent", "{name: p, mountPath: /data}", "known@" + index, "", nil},
		{"behind a link", "{name: e, mountPath: /var/run}", "known@" + index, "", []string{"hides-image-content: volume e is empty and hides /run/x of the image"}},
		{"a program", "{name: p, mountPath: /srv/plain}", "known@" + index, "", []string{
			"writable-over-code: volume p is writable at /srv/plain, where the image has code, such as /srv/plain/start"}},
		{"data with the mode of a program", "{name: p, mountPath: /srv/settings}", "known@" + index, "", nil},
		{"in PATH", "{name: p, mountPath: /tools/run}", "known@" + index, "", []string{"writable-over-code: volume p is writable at /tools/run, which is in the PATH of the image"}},
		{"started from there", "{name: p, mountPath: /tools/lib}", "known@" + index, "", []string{"writable-over-code: volume p is writable at /tools/lib, and the container starts /tools/lib/serve from it"}},
		{"another command", "{name: p, mountPath: /tools/lib}", "known@" + index, ", command: [/bin/true]", nil},
		{"one platform", "", "known@" + child, "", []string{
			"image-not-pinned: image known@" + child + " is pinned for one platform: nodes of others cannot run it; the index of all is " + index}},
		{"one platform, unknown", "", "unknown@" + child, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(check(c.mounts, c.image, c.more), append([]string{}, c.want...)); d != "" {
				t.Errorf("findings (-got +want):\n%s", d)
			}
		})
	}
}
