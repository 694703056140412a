package facts

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The keys and values of facts are part of JSON documents, and can be parsed again.
func TestPackagesRoundTrip(t *testing.T) {
	for _, tt := range []struct {
		name       string
		pkg        InstalledPackage
		key, value string
	}{
		{"installed", InstalledPackage{"web", "1.2-3+b1", "", Installed}, "web", "1.2-3+b1"},
		{"epoch", InstalledPackage{"perl", "1:5.40~rc1", "", Installed}, "perl", "1:5.40~rc1"},
		{"held", InstalledPackage{"web", "1.2", "", Held}, "web", "1.2 (held)"},
		{"architecture", InstalledPackage{"libc6", "2.41", "amd64", Installed}, "libc6:amd64", "2.41"},
		{"held, architecture", InstalledPackage{"libc6", "2.41", "i386", Held}, "libc6:i386", "2.41 (held)"},
		{"half-installed", InstalledPackage{"web", "1.2", "", HalfInstalled}, "web", "1.2 (half-installed)"},
		{"unpacked", InstalledPackage{"web", "1.2", "", Unpacked}, "web", "1.2 (unpacked)"},
		{"half-configured", InstalledPackage{"web", "1.2", "", HalfConfigured}, "web", "1.2 (half-configured)"},
		{"triggers-awaited", InstalledPackage{"web", "1.2", "", TriggersAwaited}, "web", "1.2 (triggers-awaited)"},
		{"triggers-pending", InstalledPackage{"web", "1.2", "", TriggersPending}, "web", "1.2 (triggers-pending)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.pkg.Key() != tt.key || tt.pkg.Value() != tt.value {
				t.Errorf("got %q, %q; want %q, %q", tt.pkg.Key(), tt.pkg.Value(), tt.key, tt.value)
			}
			if diff := cmp.Diff(ParsePackages(tt.key, tt.value), []InstalledPackage{tt.pkg}); diff != "" {
				t.Error(diff)
			}
			if installed := tt.pkg.State == Installed || tt.pkg.State == Held; tt.pkg.IsInstalled() != installed {
				t.Errorf("IsInstalled is %t", !installed)
			}
		})
	}
	if got := ParsePackages("web", ""); got != nil {
		t.Errorf("not there: got %v", got)
	}
}

func TestRPMVersionsRoundTrip(t *testing.T) {
	for _, tt := range []struct {
		name, printed, value string
		want                 []InstalledPackage
	}{
		{"one", "bash\t0:5.2-1.el9\tx86_64\n", "5.2-1.el9", []InstalledPackage{{"bash", "5.2-1.el9", "", Installed}}},
		{"epoch", "tiny\t1:2.0-3\tnoarch\n", "1:2.0-3", []InstalledPackage{{"tiny", "1:2.0-3", "", Installed}}},
		{
			"versions", "kernel\t0:6.1-2.el9\tx86_64\nkernel\t0:6.1-1.el9\tx86_64\n", "6.1-1.el9, 6.1-2.el9",
			[]InstalledPackage{{"kernel", "6.1-1.el9", "", Installed}, {"kernel", "6.1-2.el9", "", Installed}},
		},
		{
			"architectures", "glibc\t0:2.34-1.el9\tx86_64\nglibc\t0:2.34-1.el9\ti686\n", "2.34-1.el9.i686, 2.34-1.el9.x86_64",
			[]InstalledPackage{{"glibc", "2.34-1.el9", "i686", Installed}, {"glibc", "2.34-1.el9", "x86_64", Installed}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			facts := rpmFacts(tt.printed)
			if len(facts) != 1 || facts[0].Value != tt.value {
				t.Fatalf("got %v, want %q", facts, tt.value)
			}
			if diff := cmp.Diff(ParsePackages(facts[0].Key, facts[0].Value), tt.want); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDpkgStates(t *testing.T) {
	status := []string{
		"Package: web", "Status: install ok installed", "Version: 1", "",
		"Package: kept", "Status: hold ok installed", "Version: 2", "",
		"Package: lib", "Status: install ok installed", "Multi-Arch: same", "Architecture: amd64", "Version: 3", "",
		"Package: half", "Status: hold reinstreq half-installed", "Version: 4", "",
		"Package: gone", "Status: deinstall ok config-files", "Version: 5", "",
		"Package: distroless", "Version: 6",
	}
	want := []InstalledPackage{
		{"web", "1", "", Installed}, {"kept", "2", "", Held}, {"lib", "3", "amd64", Installed}, {"half", "4", "", HalfInstalled}, {"distroless", "6", "", Installed},
	}
	if diff := cmp.Diff(parseDpkgStatus(status), want); diff != "" {
		t.Error(diff)
	}
}
