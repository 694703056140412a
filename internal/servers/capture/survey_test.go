package capture

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// oddities is a script that creates unusual files on a server.
const oddities = adminChanges + `
	mkfifo opt/pipe
	mknod opt/null c 1 3
	echo 'alice:x:1000:1000::/home/alice:/bin/sh' >> etc/passwd
	echo 'alice:$6$salt$hash:19000:0:99999:7:::' >> etc/shadow
	mkdir -p home/alice/app var/www/upload 'srv/a b' var/lib/private/x var/cache/deep/er
	echo state > home/alice/app/state
	echo up > var/www/upload/file && chown 33:33 var/www/upload/file
	echo x > var/cache/deep/er/x
	setcap cap_net_raw+ep usr/bin/ping 2>/dev/null || true
	ln -s /nowhere srv/broken
	printf 'x' > "opt/new
line"
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("opt/socket")' 2>/dev/null || perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un("opt/socket"))'
	mkdir -p etc/systemd/system/shop.service.d usr/local/lib/systemd/system
	cat > usr/local/lib/systemd/system/shop@.service <<'END'
[Service]
Type=exec
User=www-data
DynamicUser=no
StateDirectory=shop
WorkingDirectory=/home/alice/app
Environment="GREETING=hello  world" DEBUG=
EnvironmentFile=-/etc/shop/%i.env
ExecStart=/usr/local/bin/shop --name %i ${GREETING} \
  $OPTIONS --key ${API_TOKEN}
END
	mkdir -p etc/shop etc/systemd/system/multi-user.target.wants
	printf 'OPTIONS=-a -b\nAPI_TOKEN="hunter2"\n' > etc/shop/blue.env
	ln -s /usr/local/lib/systemd/system/shop@.service etc/systemd/system/multi-user.target.wants/shop@blue.service
`

func survey1(t *testing.T, root *rootfs.Root, o SurveyOptions) Plan {
	t.Helper()
	p, err := Survey(t.Context(), root, o)
	must(t, err)
	return p
}

func TestEveryPathIsInOnePlace(t *testing.T) {
	root, _ := serverRoot(t, oddities)
	p := survey1(t, root, SurveyOptions{Data: []string{"/home/alice/app"}, Exclude: []string{"/usr/share/perl5"}})
	files, unknown, err := root.Walk(t.Context(), rootfs.WalkOptions{})
	must(t, err)
	if len(unknown) > 0 {
		t.Fatal(unknown)
	}
	faults := 0
	for e := range files.All() {
		if got := placesOf(p, e.Path); len(got) != 1 && !strings.HasPrefix(e.Path, "/proc/") && !strings.HasPrefix(e.Path, "/dev/") {
			if faults++; faults < 20 {
				t.Errorf("%q is in %v", e.Path, got)
			}
		}
	}
	if files.Len() < 5000 {
		t.Errorf("only %d paths", files.Len())
	}
	for _, at := range []struct{ path, place string }{
		{"/usr/sbin/nginx", PackagesLayer}, {"/bin", PackagesLayer}, {"/etc/ld.so.cache", PackagesLayer}, {"/etc/alternatives/awk", PackagesLayer},
		{"/etc/ssl/certs/ca-certificates.crt", PackagesLayer}, {"/etc/nginx/mime.types", PackagesLayer}, {"/var/lib/dpkg/status", PackagesLayer},
		{"/var/www/html/index.nginx-debian.html", PackagesLayer}, {"/var/log/nginx", PackagesLayer},
		{"/etc/nginx/nginx.conf", ConfigLayer}, {"/etc/nginx/sites-enabled/shop", ConfigLayer}, {"/etc/passwd", ConfigLayer}, {"/opt/pipe", ConfigLayer},
		{"/opt/new\nline", ConfigLayer},
		{"/srv/shop/index.html", "data /srv/shop"}, {"/var/lib/redis/notes", "data /var/lib/redis"}, {"/home/alice/app/state", "data /home/alice/app"},
		{"/var/www/upload/file", "data /var/www/upload"},
		{"/etc/nginx/ssl/shop.key", "secret"}, {"/etc/shop/blue.env", "secret"},
		{"/etc/machine-id", string(classIdentity)}, {"/var/log/nginx/access.log", string(classLog)}, {"/boot/vmlinuz-6.1", string(classKernel)}, {"/etc/shadow", string(classAccount)},
		{"/home/alice/notes", string(classHome)}, {"/root/.cache/adamant/x", string(classHome)}, {"/opt/null", string(classDevice)}, {"/opt/socket", string(classSocket)},
		{"/usr/share/perl5/Debconf/Db.pm", string(classExcluded)}, {"/var/cache/deep/er/x", string(classCache)}, {"/tmp/x", string(classTemporary)},
	} {
		if _, there := files.Lookup(at.path); !there {
			t.Errorf("%q is not there", at.path)
			continue
		}
		if got := placesOf(p, at.path); !slices.Equal(got, []string{at.place}) {
			t.Errorf("%q is in %v, want %s", at.path, got, at.place)
		}
	}
}

// placesOf returns all places of a plan that have a path.
func placesOf(p Plan, at string) []string {
	var list []string
	if _, ok := p.Packages.Files.Lookup(at); ok {
		list = append(list, PackagesLayer)
	}
	if _, ok := p.Config.Files.Lookup(at); ok {
		list = append(list, ConfigLayer)
	}
	for _, d := range p.Data {
		if isBelow(at, d.Path) {
			list = append(list, "data "+d.Path)
		}
	}
	for _, s := range p.Secrets {
		if s.Path == at {
			list = append(list, "secret")
		}
	}
	for _, l := range p.LeftOut {
		for _, top := range l.Paths {
			if top == at || isBelow(at, top) {
				list = append(list, string(l.Class))
			}
		}
	}
	return list
}

func TestServiceOfAUnit(t *testing.T) {
	root, _ := serverRoot(t, oddities)
	p := survey1(t, root, SurveyOptions{Data: []string{"/home/alice/app"}})
	i := slices.IndexFunc(p.Services, func(v Service) bool { return v.Unit == "shop@blue.service" })
	if i < 0 {
		t.Fatalf("no service of shop@blue; losses: %v", p.Losses)
	}
	want := Service{
		Name: "shop-blue", Pod: "shop-blue", Unit: "shop@blue.service", User: "www-data", UID: 33, GID: 33, WorkingDir: "/home/alice/app",
		Command: []string{"/usr/local/bin/shop", "--name", "blue", "hello  world", "-a", "-b", "--key", "$(API_TOKEN)"},
		Env: []Variable{
			{Name: "API_TOKEN", File: "/etc/shop/blue.env"}, {Name: "DEBUG"}, {Name: "GREETING", Value: "hello  world"}, {Name: "OPTIONS", Value: "-a -b"},
		},
		Data: []string{"/home/alice/app", "/srv/shop", "/var/www/upload"}, Secrets: []string{"/etc/shop/blue.env"},
	}
	if d := cmp.Diff(p.Services[i], want); d != "" {
		t.Errorf("service (-got +want):\n%s", d)
	}
	var archive bytes.Buffer
	must(t, WriteSecrets(t.Context(), root, p, &archive))
	secrets, err := SecretManifest(p, &archive)
	must(t, err)
	if !bytes.Contains(secrets, []byte("env.API_TOKEN: aHVudGVyMg==")) {
		t.Errorf("the token is not in:\n%s", secrets)
	}
	text, err := Manifest(p, ManifestOptions{Image: "x"})
	must(t, err)
	plan, err := p.Config.Files.MarshalText()
	must(t, err)
	if bytes.Contains(append(text, plan...), []byte("hunter2")) {
		t.Error("the token is in the manifest")
	}
}

func TestEqualServersGiveEqualImages(t *testing.T) {
	root, dir := serverRoot(t, oddities)
	out := filepath.Join(t.TempDir(), "image.tar")
	_, first := capture(t, root, out)
	shell(t, dir, `touch var/log/nginx/other.log etc/.pwd.lock; touch x && rm x; touch etc/nginx/x && rm etc/nginx/x; sleep 0.01`)
	before, err := os.ReadFile(out)
	must(t, err)
	_, second := capture(t, root, out)
	after, err := os.ReadFile(out)
	must(t, err)
	if first != second || !bytes.Equal(before, after) {
		t.Errorf("images %s and %s of an unchanged server", first, second)
	}
	shell(t, dir, `echo '# more' >> etc/nginx/nginx.conf`)
	if _, third := capture(t, root, out); third == first {
		t.Errorf("the image is still %s though a file was edited", third)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(out), ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestFilesThatChangeAreNeverHalf(t *testing.T) {
	for _, c := range []struct{ name, change string }{
		{"grows", `echo more >> etc/app.conf`},
		{"shrinks", `: > etc/app.conf`},
		{"same size", `sed -i 's/80/81/' etc/app.conf`},
		{"mode", `chmod 600 etc/app.conf`},
		{"link", `ln -sfn /etc/passwd etc/app.conf`},
		{"large", `printf x | dd of=opt/large conv=notrunc bs=1 seek=4999999 status=none`},
		{"gone", `rm etc/app.conf`},
	} {
		t.Run(c.name, func(t *testing.T) {
			root, dir := smallRoot(t)
			p := survey1(t, root, SurveyOptions{})
			shell(t, dir, c.change)
			err := WriteLayer(t.Context(), root, p, ConfigLayer, io.Discard)
			if err == nil || c.name != "gone" && !errors.Is(err, ErrNotAsPlanned) {
				t.Errorf("error %v, want %v", err, ErrNotAsPlanned)
			}
		})
	}
}
