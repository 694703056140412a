package drift

import (
	"testing"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

func TestGrade(t *testing.T) {
	file := func(path string, mode uint32) *tree.Entry {
		return &tree.Entry{Path: path, Kind: tree.Regular, Mode: mode, Size: 1, Digest: "d"}
	}
	with := func(e *tree.Entry, change func(*tree.Entry)) *tree.Entry {
		change(e)
		return e
	}
	dir := func(path string, mode uint32) *tree.Entry {
		return &tree.Entry{Path: path, Kind: tree.Directory, Mode: mode}
	}
	caps := func(e *tree.Entry) { e.Xattrs = map[string]string{tree.CapabilityXattr: "x"} }
	edit := func(e *tree.Entry) { e.Digest = "e" }
	tests := map[string]struct {
		want, got *tree.Entry
		severity  Severity
		reason    string
	}{
		"setuid added":            {nil, file("/tmp/sh", 0o4755), Critical, "setuid or setgid program"},
		"setuid gained":           {file("/bin/sh", 0o755), file("/bin/sh", 0o4755), Critical, "setuid or setgid program"},
		"setuid edited":           {file("/bin/su", 0o4755), with(file("/bin/su", 0o4755), edit), Critical, "setuid or setgid program"},
		"setuid given away":       {file("/bin/su", 0o4755), with(file("/bin/su", 0o4755), func(e *tree.Entry) { e.UID = 1 }), Critical, "setuid or setgid program"},
		"setuid lost":             {file("/bin/su", 0o4755), file("/bin/su", 0o755), High, "program outside writable places"},
		"setgid program":          {nil, file("/srv/x", 0o2755), Critical, "setuid or setgid program"},
		"setgid without x":        {nil, file("/srv/x", 0o2644), Low, "new data"},
		"setgid directory":        {nil, dir("/srv/x", 0o2755), Low, "directory"},
		"capability gained":       {file("/bin/x", 0o755), with(file("/bin/x", 0o755), caps), Critical, "file capabilities"},
		"capable program edited":  {with(file("/bin/x", 0o755), caps), with(with(file("/bin/x", 0o755), caps), edit), Critical, "file capabilities"},
		"capability lost":         {with(file("/bin/x", 0o755), caps), file("/bin/x", 0o755), High, "program outside writable places"},
		"preload":                 {nil, file("/etc/ld.so.preload", 0o644), Critical, "preloaded into every program"},
		"passwd":                  {file("/etc/passwd", 0o644), with(file("/etc/passwd", 0o644), edit), Critical, "accounts"},
		"passwd deleted":          {file("/etc/passwd", 0o644), nil, Critical, "accounts"},
		"shadow":                  {file("/etc/shadow", 0o640), with(file("/etc/shadow", 0o640), edit), Critical, "accounts"},
		"sudoers":                 {nil, file("/etc/sudoers.d/x", 0o440), Critical, "who may become root"},
		"PAM":                     {nil, file("/etc/pam.d/x", 0o644), Critical, "authentication"},
		"authorized keys":         {nil, file("/home/a/.ssh/authorized_keys", 0o600), Critical, "remote access"},
		"sshd":                    {nil, file("/etc/ssh/sshd_config", 0o600), Critical, "remote access"},
		"device":                  {nil, &tree.Entry{Path: "/srv/sda", Kind: tree.BlockDevice, Mode: 0o600}, High, "device node"},
		"cron":                    {nil, file("/etc/cron.d/x", 0o644), High, "runs by itself"},
		"crontab of a user":       {nil, file("/var/spool/cron/crontabs/root", 0o600), High, "runs by itself"},
		"certificate":             {nil, file("/usr/local/share/ca-certificates/x.crt", 0o644), High, "trusted certificates"},
		"resolver":                {file("/etc/nsswitch.conf", 0o644), with(file("/etc/nsswitch.conf", 0o644), edit), High, "how names are resolved"},
		"package source":          {nil, file("/etc/apt/sources.list.d/x.list", 0o644), High, "where packages come from"},
		"shell start":             {nil, file("/home/a/.bashrc", 0o644), High, "start of every shell"},
		"program added":           {nil, file("/usr/bin/x", 0o755), High, "program outside writable places"},
		"program deleted":         {file("/usr/bin/x", 0o755), nil, High, "program outside writable places"},
		"script edited":           {file("/app/a.py", 0o644), with(file("/app/a.py", 0o644), edit), High, "program outside writable places"},
		"program in tmp":          {nil, file("/tmp/x", 0o755), Medium, "program in a writable place"},
		"writable by all":         {file("/srv/x", 0o644), file("/srv/x", 0o666), Medium, "writable by everybody"},
		"sticky directory":        {dir("/srv/x", 0o755), dir("/srv/x", 0o1777), Low, "directory"},
		"link is no open file":    {nil, &tree.Entry{Path: "/srv/l", Kind: tree.Symlink, Mode: 0o777, Target: "x"}, Low, "new data"},
		"configuration":           {file("/etc/nginx/nginx.conf", 0o644), with(file("/etc/nginx/nginx.conf", 0o644), edit), Medium, "configuration"},
		"package database":        {file("/var/lib/dpkg/status", 0o644), with(file("/var/lib/dpkg/status", 0o644), edit), Medium, "installed packages"},
		"log":                     {nil, file("/var/log/x.log", 0o644), Low, "log"},
		"cache":                   {nil, file("/var/cache/x", 0o644), Low, "cache"},
		"run":                     {nil, file("/run/nginx.pid", 0o644), Low, "data in a writable place"},
		"new page":                {nil, file("/srv/www/a.html", 0o644), Low, "new data"},
		"edited page":             {file("/srv/www/a.html", 0o644), with(file("/srv/www/a.html", 0o644), edit), Medium, "data of the image"},
		"deleted page":            {file("/srv/www/a.html", 0o644), nil, Medium, "data of the image"},
		"not below a like prefix": {nil, file("/etc/passwd.bak", 0o600), Medium, "configuration"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := Compare(treeOf(t, tt.want), treeOf(t, tt.got), Options{})
			if len(r.Changes) != 1 {
				t.Fatalf("got %d changes, want 1", len(r.Changes))
			}
			got := r.Changes[0]
			if got.Severity != tt.severity || got.Reason != tt.reason {
				t.Errorf("got %s (%s), want %s (%s)", got.Severity, got.Reason, tt.severity, tt.reason)
			}
		})
	}
}

// treeOf makes a tree of entries whose digest may be a single letter.
func treeOf(t *testing.T, entries ...*tree.Entry) tree.Tree {
	t.Helper()
	var list []tree.Entry
	for _, e := range entries {
		if e == nil {
			continue
		}
		one := *e
		one.Digest = digestOf(one.Digest)
		list = append(list, one)
	}
	tr, err := tree.New(list)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}
