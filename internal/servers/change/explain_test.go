package change

import "testing"

func TestExplain(t *testing.T) {
	for _, tt := range []struct{ name, output, want string }{
		{"held", "The following packages have unmet dependencies:\n web : Depends: libweb (>= 1.1) but 1.0 is to be installed\nE: Unable to correct problems, you have held broken packages.\n",
			"web needs libweb (>= 1.1), but 1.0 is to be installed"},
		{"no version", "Reading package lists...\nE: Version '9' for 'web' was not found\n", "no repository of the server has web 9"},
		{"no package", "E: Unable to locate package wbe\n", "no repository of the server has wbe"},
		{"full", "dpkg: error processing archive /x.deb (--unpack):\n cannot copy extracted data: failed to write (No space left on device)\n", "the disk is full"},
		{"lock", "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7 (apt)\n", "another package manager is at work: it holds /var/lib/dpkg/lock-frontend"},
		{"name", "Err:1 http://deb x\n  Temporary failure resolving 'deb.example'\n", "the server cannot resolve deb.example"},
		{"last line", "doing\n\x1b[31mit broke\n\n", "\x1b[31mit broke"},
		{"nothing", "", ""},
	} {
		if got := explain(tt.output); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestInvalidJobs(t *testing.T) {
	for name, j := range map[string]Job{
		"empty":        {ID: "a"},
		"id":           {ID: "../a", Run: "x"},
		"hidden id":    {ID: ".a", Run: "x"},
		"option":       {ID: "a", Packages: []PackageSpec{{Name: "-o"}}},
		"shell":        {ID: "a", Packages: []PackageSpec{{Name: "a;b"}}},
		"relative":     {ID: "a", Copies: []Copy{{Path: "etc/x"}}},
		"climbs":       {ID: "a", Copies: []Copy{{Path: "/etc/../x"}}},
		"the root":     {ID: "a", Copies: []Copy{{Path: "/"}}},
		"bad version":  {ID: "a", Packages: []PackageSpec{{Name: "a", Version: "1 2"}}},
		"no name":      {ID: "a", Packages: []PackageSpec{{Version: "1"}}},
		"option in id": {ID: "a b", Run: "x"},
	} {
		if err := j.validate(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
