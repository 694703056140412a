package facts

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"path"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
)

// packageFacts reads the records of dpkg and apk. Rpm's are in a database, see
// readRPM.
func packageFacts(from files) []Fact {
	facts := dpkgFacts(lines(from, "/var/lib/dpkg/status"))
	// Distroless images keep one file for each package.
	if entries, err := from.list("/var/lib/dpkg/status.d"); err == nil {
		for _, e := range entries {
			if !strings.HasSuffix(e.Path, ".md5sums") {
				facts = append(facts, dpkgFacts(append(lines(from, e.Path), ""))...)
			}
		}
	}
	return append(facts, apkFacts(lines(from, "/lib/apk/db/installed"))...)
}

// dpkgFacts reads paragraphs of deb822(5).
func dpkgFacts(text []string) []Fact {
	var facts []Fact
	field := map[string]string{}
	for _, line := range append(text, "") {
		if line == "" {
			if f, ok := dpkgFact(field); ok {
				facts = append(facts, f)
			}
			clear(field)
			continue
		}
		if key, value, ok := strings.Cut(line, ":"); ok && line[0] != ' ' {
			field[key] = strings.TrimSpace(value)
		}
	}
	return facts
}

// dpkgFact says of a package which version there is, and what is the matter with
// it if it is not simply installed.
func dpkgFact(field map[string]string) (Fact, bool) {
	name, version := field["Package"], field["Version"]
	if name == "" || version == "" {
		return Fact{}, false
	}
	if field["Multi-Arch"] == "same" {
		name += ":" + field["Architecture"]
	}
	want, rest, _ := strings.Cut(field["Status"], " ")
	_, state, _ := strings.Cut(rest, " ")
	switch {
	case state == "not-installed" || state == "config-files":
		return Fact{}, false // its configuration is among the files
	case state != "installed" && state != "":
		version += " (" + state + ")"
	case want == "hold":
		version += " (held)"
	}
	return Fact{Package, name, version}, true
}

// apkFacts reads the records of apk: P is a package, V its version.
func apkFacts(text []string) []Fact {
	var facts []Fact
	name := ""
	for _, line := range text {
		key, value, _ := strings.Cut(line, ":")
		switch key {
		case "P":
			name = value
		case "V":
			facts = append(facts, Fact{Package, name, value})
		}
	}
	return facts
}

// Owners are the packages that brought files.
type Owners struct {
	byPath map[string]string
	sums   map[string]string // digests of files as their packages have them, see NewSum
}

// ReadOwners reads the lists of dpkg, ucf and apk, and asks rpm if that runs here;
// without any nothing has an owner. Paths are as a system has them whose /usr is
// merged. With an error they are complete but for what rpm has.
func ReadOwners(ctx context.Context, root *rootfs.Root, live bool) (*Owners, error) {
	var run execution
	if live {
		run = execute
	}
	return readOwners(ctx, rootFiles{root}, run)
}

func readOwners(ctx context.Context, from files, run execution) (*Owners, error) {
	o := &Owners{map[string]string{}, map[string]string{}}
	o.addDpkg(from)
	o.addUcf(lines(from, "/var/lib/ucf/registry"), lines(from, "/var/lib/ucf/hashfile"))
	o.addApk(lines(from, "/lib/apk/db/installed"))
	if dir := rpmDatabase(from); run != nil && dir != "" {
		return o, run(ctx, rpmQuery(dir, rpmFiles), o.addRPM)
	}
	return o, nil
}

func (o *Owners) addDpkg(from files) {
	entries, err := from.list("/var/lib/dpkg/info")
	if err != nil {
		return
	}
	for _, e := range entries {
		name, kind := strings.TrimSuffix(path.Base(e.Path), path.Ext(e.Path)), path.Ext(e.Path)
		switch kind {
		case ".list":
			for _, file := range lines(from, e.Path) {
				o.byPath[usrMerged(file)] = name
			}
		case ".md5sums":
			for _, line := range lines(from, e.Path) {
				if sum, file, ok := strings.Cut(line, "  "); ok {
					o.sums[usrMerged("/"+file)] = sum
				}
			}
		}
	}
	for _, f := range conffiles(lines(from, "/var/lib/dpkg/status")) {
		o.sums[f.Path] = f.Digest
	}
}

// addUcf reads of which packages ucf(1) keeps configuration, which is in no list
// of theirs, and what they brought last.
func (o *Owners) addUcf(registry, hashes []string) {
	for _, line := range registry {
		pkg, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		if file = usrMerged(strings.TrimSpace(file)); path.IsAbs(file) && o.byPath[file] == "" {
			o.byPath[file] = pkg
		}
	}
	for _, line := range hashes {
		sum, file, _ := strings.Cut(line, "  ")
		if file = usrMerged(file); o.byPath[file] != "" && o.sums[file] == "" && hashOf(sum) != nil {
			o.sums[file] = sum
		}
	}
}

// addApk reads the records of apk: P is a package, F a directory, R a file in it,
// and Z the file's digest.
func (o *Owners) addApk(text []string) {
	var name, dir, file string
	for _, line := range text {
		key, value, _ := strings.Cut(line, ":")
		switch key {
		case "P":
			name = value
		case "F":
			dir = "/" + value
			o.byPath[usrMerged(dir)] = name
		case "R":
			file = usrMerged(path.Join(dir, value))
			o.byPath[file] = name
		case "Z":
			encoded, ok := strings.CutPrefix(value, "Q1")
			if sum, err := base64.StdEncoding.DecodeString(encoded); ok && err == nil && file != "" {
				o.sums[file] = hex.EncodeToString(sum)
			}
		}
	}
}

// usrMerged is a path where a system has it whose /bin and /lib are links into
// /usr, as all of Debian's are since release 12.
func usrMerged(p string) string {
	for _, dir := range []string{"/bin/", "/sbin/", "/lib/", "/lib64/", "/lib32/", "/libx32/"} {
		if strings.HasPrefix(p, dir) {
			return "/usr" + p
		}
	}
	return p
}

// conffiles are the configuration files of packages with their MD5, of which
// dpkg keeps track in its status.
func conffiles(text []string) []FileDigest {
	var list []FileDigest
	inside := false
	for _, line := range text {
		if !strings.HasPrefix(line, " ") {
			inside = strings.HasPrefix(line, "Conffiles:")
			continue
		}
		if f := strings.Fields(line); inside && len(f) >= 2 {
			list = append(list, FileDigest{f[0], f[1]})
		}
	}
	return list
}
