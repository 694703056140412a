package change

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/servers/facts"
	"github.com/adamant-sh/adamant/test/sshd"
)

// managerEnv names the package manager that TestPackageManagers tests on the machine
// that it runs on, which is a server of the lab.
const managerEnv = "ADAMANT_TEST_PACKAGE_MANAGER"

// holdCommands hold a package, for each package manager.
var holdCommands = map[string][]string{"apt-get": {"apt-mark", "hold"}}

// TestPackageManagers tests every package manager on a real server, with a repository
// that has libweb and web in the versions 1.0 and 1.1, of which each web needs a
// libweb that is not older, and broken, whose installation fails.
func TestPackageManagers(t *testing.T) {
	if program := os.Getenv(managerEnv); program != "" {
		testPackageManager(t, program)
		return
	}
	self, err := os.Executable()
	must(t, err)
	lab := sshd.Open(t)
	repo := lab.Repository()
	repo.AddWeb()
	for _, m := range packageManagers {
		t.Run(m.program, func(t *testing.T) {
			server := lab.Start(m.program, sshd.Options{})
			server.Use(repo)
			copyFile(t, filepath.Join(server.Root, "change.test"), self)
			t.Log(server.Exec("sh", "-c", managerEnv+"="+m.program+" /change.test -test.run '^TestPackageManagers$' -test.v"))
		})
	}
}

func copyFile(t *testing.T, to, from string) {
	t.Helper()
	in, err := os.Open(from)
	must(t, err)
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	must(t, err)
	_, err = io.Copy(out, in)
	must(t, err)
	must(t, out.Close())
}

// testPackageManager is the contract of packageManager. The machine has none of the
// repository's packages.
func testPackageManager(t *testing.T, program string) {
	root, err := rootfs.Open("/")
	must(t, err)
	defer root.Close()
	m, err := findPackageManager(root)
	must(t, err)
	install := func(tr transaction) (string, error) {
		out := &tailBuffer{max: maxOutput}
		err := m.install(t.Context(), tr, out)
		return out.String(), err
	}
	specs := func(texts ...string) (list []PackageSpec) {
		for _, text := range texts {
			p, err := ParsePackageSpec(text)
			must(t, err)
			list = append(list, p)
		}
		return list
	}
	want := func(name string, want facts.InstalledPackage) {
		t.Helper()
		list, err := m.versions(t.Context())
		must(t, err)
		i := slices.IndexFunc(list, func(p facts.InstalledPackage) bool { return p.Name == name })
		var got facts.InstalledPackage
		if i >= 0 {
			got = list[i]
		}
		if got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	fails := func(tr transaction, name string, mayBeHeld bool) {
		t.Helper()
		out, err := install(tr)
		if err == nil {
			t.Errorf("install %v: no error", tr)
		}
		if text, held := m.explain(out); !strings.Contains(text, name) || held != mayBeHeld {
			t.Errorf("install %v: explained by %q, held %t\n%s", tr, text, held, out)
		}
	}
	succeeds := func(tr transaction) {
		t.Helper()
		if out, err := install(tr); err != nil {
			t.Errorf("install %v: %v\n%s", tr, err, out)
		}
	}

	must(t, m.refresh(t.Context()))
	want("web", facts.InstalledPackage{})
	succeeds(transaction{install: specs("web")}) // with what it needs, in the newest version
	want("web", facts.InstalledPackage{Name: "web", Version: "1.1", State: facts.Installed})
	want("libweb", facts.InstalledPackage{Name: "libweb", Version: "1.1", State: facts.Installed})
	succeeds(transaction{install: specs("web=1.0", "libweb=1.0")}) // a downgrade
	want("web", facts.InstalledPackage{Name: "web", Version: "1.0", State: facts.Installed})
	fails(transaction{install: specs("web=9")}, "web 9", false)
	fails(transaction{install: specs("nowhere")}, "nowhere", false)

	must(t, runProgram(t.Context(), os.Stderr, holdCommands[program][0], append(slices.Clone(holdCommands[program][1:]), "libweb")...))
	held, err := m.held(t.Context())
	must(t, err)
	if !slices.Equal(held, []string{"libweb"}) {
		t.Errorf("held: %q", held)
	}
	want("libweb", facts.InstalledPackage{Name: "libweb", Version: "1.0", State: facts.Held})
	fails(transaction{install: specs("web=1.1")}, "", true)
	want("web", facts.InstalledPackage{Name: "web", Version: "1.0", State: facts.Installed})
	succeeds(transaction{install: specs("web=1.1", "libweb=1.1"), changeHeld: true})
	want("web", facts.InstalledPackage{Name: "web", Version: "1.1", State: facts.Installed})

	succeeds(transaction{remove: []string{"web", "libweb"}, changeHeld: true})
	want("web", facts.InstalledPackage{})
	want("libweb", facts.InstalledPackage{})
	fails(transaction{install: specs("broken")}, "broken", false)
	list, err := m.versions(t.Context())
	must(t, err)
	if slices.ContainsFunc(list, func(p facts.InstalledPackage) bool { return p.Name == "broken" && p.IsInstalled() }) {
		t.Error("broken is installed")
	}
}
