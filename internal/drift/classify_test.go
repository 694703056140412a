package drift

import (
	"testing"

	"github.com/adamant-sh/adamant/internal/fs/tree"
)

func TestClassify(t *testing.T) {
	elf := func(kind byte) []byte {
		return append([]byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00"), kind, 0)
	}
	file := func(path string, mode uint32) tree.Entry {
		return tree.Entry{Path: path, Kind: tree.Regular, Mode: mode}
	}
	tests := map[string]struct {
		entry tree.Entry
		head  []byte
		want  Class
	}{
		"program":                 {file("/usr/bin/nginx", 0o755), elf(3), Executable},
		"program without a mode":  {file("/var/log/x", 0o644), elf(2), Executable},
		"truncated ELF":           {file("/srv/x", 0o644), []byte("\x7fELF"), Executable},
		"shared object":           {file("/usr/lib/libc.so.6", 0o755), elf(3), Library},
		"kernel module":           {file("/opt/m", 0o644), elf(1), Library},
		"plug-in":                 {file("/usr/lib/mod.so", 0o644), nil, Library},
		"archive":                 {file("/app/app.jar", 0o644), []byte("PK"), Library},
		"shell script":            {file("/srv/run", 0o644), []byte("#!/bin/sh\n"), Script},
		"Python":                  {file("/app/main.py", 0o644), []byte("import os"), Script},
		"unknown and executable":  {file("/srv/run", 0o755), []byte("echo"), Executable},
		"link to a program":       {tree.Entry{Path: "/usr/bin/vi", Kind: tree.Symlink, Mode: 0o777}, nil, Executable},
		"link in data":            {tree.Entry{Path: "/srv/current", Kind: tree.Symlink, Mode: 0o777}, nil, Data},
		"setting":                 {file("/etc/nginx/nginx.conf", 0o644), nil, Config},
		"setting elsewhere":       {file("/app/settings.yaml", 0o644), nil, Config},
		"dot file":                {file("/root/.bashrc", 0o644), nil, Config},
		"keys":                    {file("/root/.ssh/authorized_keys", 0o600), nil, Config},
		"dpkg":                    {file("/var/lib/dpkg/status", 0o644), nil, PackageDB},
		"dpkg script":             {file("/var/lib/dpkg/info/a.postinst", 0o755), []byte("#!/bin/sh"), PackageDB},
		"log":                     {file("/var/log/nginx/access.log", 0o644), nil, Log},
		"log elsewhere":           {file("/app/out.log", 0o644), nil, Log},
		"cache":                   {file("/var/cache/x", 0o644), nil, Cache},
		"temporary":               {file("/tmp/x", 0o644), nil, Cache},
		"home cache":              {file("/root/.cache/x/y", 0o644), nil, Cache},
		"data":                    {file("/usr/share/nginx/html/index.html", 0o644), nil, Data},
		"not below a like prefix": {file("/var/logs", 0o644), nil, Data},
		"directory":               {tree.Entry{Path: "/srv/conf.d", Kind: tree.Directory, Mode: 0o755}, nil, Data},
		"directory named a.py":    {tree.Entry{Path: "/srv/a.py", Kind: tree.Directory, Mode: 0o755}, nil, Data},
		"directory of settings":   {tree.Entry{Path: "/etc/x", Kind: tree.Directory, Mode: 0o755}, nil, Config},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := classify(tt.entry, tt.head); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
