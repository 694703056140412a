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

// A lab is a copy of files with the peers' databases.
type lab struct {
	dir  string
	root string
}

// copied are the directories whose files are copied, in this order.
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

// gitIndex adds all files to git's index without storing their content, which
// git status does not need: writing gigabytes of objects takes longer than all
// measurements.
const gitIndex = `
index() {
	find . -type f "${@:2}" -printf '%%P\n' >%[1]s/list
	%[2]s hash-object --no-filters --stdin-paths <%[1]s/list | paste - %[1]s/list | sed "s/^/$1 /" | %[2]s update-index --index-info
}
%[2]s init -q
index 100755 -perm -u+x
index 100644 ! -perm -u+x
find . -type l -print0 | %[2]s add -f --pathspec-from-file=- --pathspec-file-nul
%[2]s update-index -q --refresh
tree=$(%[2]s write-tree --missing-ok)
%[2]s update-ref HEAD "$(%[2]s -c user.name=bench -c user.email=bench@localhost commit-tree -m all "$tree")"
test -z "$(%[2]s status --porcelain | head -n 1)"
`

// git returns the command of git with its repository beside the files.
func (l lab) git() string { return fmt.Sprintf("git --git-dir=%s/git --work-tree=%s ", l.dir, l.root) }

// prepare copies files and creates the peers' databases.
func (l lab) prepare(ctx context.Context, entries int) error {
	if err := os.Mkdir(l.root, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(l.dir+"/aide.conf", fmt.Appendf(nil, aideConf, l.dir, l.root), 0o600); err != nil {
		return err
	}
	for _, step := range []string{
		fmt.Sprintf("{ find %s -xdev -print0 || :; } | { head -z -n %d; cat >/dev/null; } | tar -C / -c --null --no-recursion --xattrs -T - 2>/dev/null | tar -x -p --xattrs --xattrs-include='*'", copied, entries),
		// git would treat repositories in the copy as submodules.
		"find . -name .git -prune -exec rm -rf {} +",
		fmt.Sprintf(gitIndex, l.dir, l.git()),
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

// ways returns the measured programs: the fast ones in the order of the
// constants, and the slow ones.
func (l lab) ways(ctx context.Context) (fast, slow []*way) {
	ours := func(args ...string) func() *exec.Cmd {
		args = append([]string{"-only", l.root}, args...)
		return func() *exec.Cmd { return exec.CommandContext(ctx, "/proc/self/exe", args...) }
	}
	sh := func(script string) func() *exec.Cmd {
		return func() *exec.Cmd { return l.sh(ctx, script) }
	}
	cache := l.dir + "/cache"
	aide := "aide --check --config=" + l.dir + "/aide.conf"
	fast = []*way{
		{name: "adamant: first scan", cmd: ours()},
		{name: "adamant: next scan", cmd: ours("-cache", cache)},
		{name: "find, xargs -P and openssl dgst -sha256 on all processors", cmd: sh(fmt.Sprintf("find . -type f -print0 | xargs -0 -P%d openssl dgst -sha256 >/dev/null", runtime.NumCPU()))},
		{name: "git status", cmd: sh(l.git() + "status --porcelain >/dev/null")},
		{name: "adamant: first scan, and the cache is written and synced", cmd: ours("-full", "-cache", cache)},
	}
	slow = []*way{
		{name: "aide --check", cmd: sh(aide), exits: []int{1, 2, 3, 4, 5, 6, 7}, target: targetAide},
		// debsums reports the files that were not copied as missing.
		{name: "debsums", cmd: sh("debsums --silent --root=" + l.root + " >/dev/null 2>&1"), exits: []int{1, 2, 3}},
	}
	return fast, slow
}
