package capture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/pod"
	"github.com/adamant-sh/adamant/internal/pod/containerd"
	"github.com/adamant-sh/adamant/test/appimage"
)

// lab is the private containerd that the tests share.
var lab struct {
	once sync.Once
	err  error
	opts pod.Options
}

func TestMain(m *testing.M) {
	if runc, ok := containerd.Wrapped(); ok {
		fmt.Fprintln(os.Stderr, syscall.Exec(runc, append([]string{"runc"}, os.Args[1:]...), os.Environ()))
		os.Exit(1)
	}
	code := m.Run()
	if lab.opts.Root != "" {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err := errors.Join(pod.Destroy(ctx, lab.opts), os.RemoveAll(lab.opts.Root), os.RemoveAll(lab.opts.State))
		if err != nil {
			fmt.Fprintln(os.Stderr, "clean up:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

func openEngine(t *testing.T) *pod.Engine {
	t.Helper()
	lab.once.Do(func() {
		lab.opts.Root, lab.err = os.MkdirTemp("/var/tmp", "adamant-capture-")
		if lab.err == nil {
			lab.opts.State, lab.err = os.MkdirTemp("/run", "adamant-capture-")
		}
	})
	must(t, lab.err)
	e, err := pod.Open(t.Context(), lab.opts)
	must(t, err)
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// webServer is a Debian server with a hand-made web site and a database.
func webServer() appimage.App {
	return appimage.App{
		Name:     "capture",
		Packages: []string{"nginx-light", "redis-server", "ca-certificates", "iputils-ping", "cron"},
	}
}

// adminChanges is the script of an administrator's changes to a server.
const adminChanges = `
	sed -i 's/worker_connections 768;/worker_connections 512;/' etc/nginx/nginx.conf
	cat > etc/nginx/sites-enabled/shop <<'END'
server {
	listen 8080;
	root /srv/shop;
	ssl_certificate_key /etc/nginx/ssl/shop.key;
	location /static/ { alias /usr/local/share/shop/; }
}
END
	mkdir -p etc/sysctl.d etc/nginx/ssl srv/shop usr/local/share/shop var/log/nginx root/.cache/adamant home/alice var/lib/redis tmp/x run/x
	printf -- '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw\n-----END PRIVATE KEY-----\n' > etc/nginx/ssl/shop.key
	chmod 600 etc/nginx/ssl/shop.key
	echo 'the edited site' > usr/local/share/shop/page
	echo 'of the data' > srv/shop/index.html
	echo 'of the database' > var/lib/redis/notes
	chown 100:102 var/lib/redis/notes
	echo GET > var/log/nginx/access.log
	echo cached > root/.cache/adamant/x
	echo mine > home/alice/notes
	echo 1234567890abcdef > etc/machine-id
	echo 'net.ipv4.ip_forward = 1' > etc/sysctl.d/90-router.conf
	echo '0 4 * * * root /usr/local/bin/backup' > etc/cron.d/backup
	ln usr/local/share/shop/page usr/local/share/shop/again
	mkdir -p boot && echo kernel > boot/vmlinuz-6.1
	touch etc/.wh.motd
`

// serverRoot returns a copy of the web server's files after a script of changes.
func serverRoot(t *testing.T, script string) (*rootfs.Root, string) {
	t.Helper()
	lower, err := appimage.Root(t.Context(), webServer())
	must(t, err)
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	full := filepath.Join(dir, "root")
	for _, d := range []string{"root", "view"} {
		must(t, os.Mkdir(filepath.Join(dir, d), 0o755))
	}
	shell(t, dir, `mount -t overlay -o "lowerdir=$LOWER" overlay view && cp -a view/. root/`, "LOWER="+lower)
	shell(t, full, script)
	root, err := rootfs.Open(full)
	must(t, err)
	t.Cleanup(func() { root.Close() })
	return root, full
}

// smallRoot is a server without packages.
func smallRoot(t *testing.T) (*rootfs.Root, string) {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	shell(t, dir, `
		mkdir -p etc opt/app srv/data
		echo 'root:x:0:0:root:/root:/bin/sh' > etc/passwd
		echo 'listen 80' > etc/app.conf
		ln etc/app.conf etc/app.copy
		ln -s ../etc/app.conf opt/app/conf
		head -c 5000000 /dev/zero > opt/large
		echo kept > srv/data/file
		chown -R 7:8 srv/data
		touch -d @1700000000 etc/app.conf
	`)
	root, err := rootfs.Open(dir)
	must(t, err)
	t.Cleanup(func() { root.Close() })
	return root, dir
}

// shell runs a script in a mount namespace of its own.
func shell(t *testing.T, dir, script string, env ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-euc", script)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, strings.TrimSpace(string(out)))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
