package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// A lab is a copy of files, and what the rivals keep of them.
type lab struct {
	dir  string
	root string
}

// copied are the directories of which files are taken, in this order.
const copied = "/etc /var/lib/dpkg /usr/bin /usr/sbin /usr/share /usr/lib"

const aideConf = `database_in=file:%[1]s/aide.db
database_out=file:%[1]s/aide.db
gzip_dbout=no
root_prefix=%[2]s
report_url=stdout
/ p+i+l+n+u+g+s+m+c+acl+xattrs+sha256
`

func (l lab) sh(ctx context.Context, script string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "-c", "set -eo pipefail; "+script)
	cmd.Dir = l.root
	return cmd
}

// git keeps its repository beside the files.
func (l lab) git() string { return fmt.Sprintf("git --git-dir=%s/git --work-tree=%s ", l.dir, l.root) }

// prepare copies files and lets the rivals read them.
func (l lab) prepare(ctx context.Context, entries int) error {
	if err := os.Mkdir(l.root, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(l.dir+"/aide.conf", fmt.Appendf(nil, aideConf, l.dir, l.root), 0o600); err != nil {
		return err
	}
	git := l.git()
	for _, step := range []string{
		fmt.Sprintf("{ find %s -xdev -print0 || :; } | { head -z -n %d; cat >/dev/null; } | tar -C / -c --null --no-recursion --xattrs -T - 2>/dev/null | tar -x -p --xattrs --xattrs-include='*'", copied, entries),
		// Repositories in it would be taken for others' by git.
		"find . -name .git -prune -exec rm -rf {} +",
		git + "init -q && " + git + "config core.compression 0 && " + git + "config gc.auto 0",
		git + "add -A -f . && " + git + "-c user.name=bench -c user.email=bench@localhost commit -q -m all",
		"aide --init --config=" + l.dir + "/aide.conf",
		"sync; find . | wc -l >" + l.dir + "/entries; du -sm . | cut -f1 >" + l.dir + "/size",
	} {
		if out, err := l.sh(ctx, step).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%.2000s", step, err, out)
		}
	}
	n, err := os.ReadFile(l.dir + "/entries")
	mib, sizeErr := os.ReadFile(l.dir + "/size")
	fmt.Printf("scan: %.*s entries, %.*s MiB, page cache warm\n", len(n)-1, n, len(mib)-1, mib)
	time.Sleep(time.Second) // for what is racily clean, to git too
	return errors.Join(err, sizeErr)
}

// ways are what is measured. The order is that in report.
func (l lab) ways(ctx context.Context) []*way {
	ours := func(args ...string) func() *exec.Cmd {
		args = append([]string{"-only", l.root}, args...)
		return func() *exec.Cmd { return exec.CommandContext(ctx, "/proc/self/exe", args...) }
	}
	sh := func(script string) func() *exec.Cmd {
		return func() *exec.Cmd { return l.sh(ctx, script) }
	}
	cache := l.dir + "/cache"
	aide := "aide --check --config=" + l.dir + "/aide.conf"
	return []*way{
		{name: "adamant: first scan", cmd: ours()},
		{name: "adamant: next scan", cmd: ours("-cache", cache)},
		{name: "find, xargs -P and openssl dgst -sha256 on all processors", cmd: sh(fmt.Sprintf("find . -type f -print0 | xargs -0 -P%d openssl dgst -sha256 >/dev/null", runtime.NumCPU()))},
		{name: "git status", cmd: sh(l.git() + "status --porcelain >/dev/null")},
		{name: "adamant: first scan, and the cache is written and synced", cmd: ours("-full", "-cache", cache)},
		{name: "aide --check", cmd: sh(aide), exits: []int{1, 2, 3, 4, 5, 6, 7}, slow: true},
		// It says of files that were not copied that they are missing.
		{name: "debsums", cmd: sh("debsums --silent --root=" + l.root + " >/dev/null 2>&1"), exits: []int{1, 2, 3}, slow: true},
	}
}
