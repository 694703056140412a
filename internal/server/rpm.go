package server

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/tree"
)

// rpmPackages and rpmFiles print what rpmFacts and addRPM read. What is the same
// of all elements of an array has an equal sign.
const (
	rpmPackages = `%{NAME}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\t%{ARCH}\n`
	rpmFiles    = `[%{=NAME}\t%{FILEDIGESTS}\t%{FILENAMES}\n]`
)

// rpmQuery asks a database for this of each package. Without its directory
// Debian's rpm makes a database in the home directory.
func rpmQuery(dir, format string) []string {
	return []string{"rpm", "--dbpath", dir, "-qa", "--qf", format}
}

// rpmDatabase is the directory where rpm keeps what it knows, empty if that is
// nothing.
func rpmDatabase(root *tree.Root) string {
	for _, dir := range []string{"/usr/lib/sysimage/rpm", "/var/lib/rpm"} {
		for _, name := range []string{"rpmdb.sqlite", "Packages.db", "Packages"} {
			file := path.Join(dir, name)
			e, err := root.Lstat(file)
			if err == nil && e.Kind == tree.Regular && e.Size > 0 && !(name == "rpmdb.sqlite" && isBlank(root, file)) {
				return dir
			}
		}
	}
	return ""
}

// isBlank reports whether a database of SQLite is as rpm makes it, without a
// package: the table that is made first, at the second page, is a leaf with no
// cells (https://www.sqlite.org/fileformat.html, 1.6), and nothing waits in the
// journal.
func isBlank(root *tree.Root, file string) bool {
	if e, err := root.Lstat(file + "-wal"); err == nil && e.Size > 0 {
		return false
	}
	f, err := root.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	var head [18]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return false
	}
	size := int64(binary.BigEndian.Uint16(head[16:]))
	if size == 1 {
		size = 1 << 16
	}
	var page [5]byte
	if _, err := f.ReadAt(page[:], size); err != nil {
		return false
	}
	const leaf = 0x0d
	return page[0] == leaf && binary.BigEndian.Uint16(page[3:]) == 0
}

// readRPM asks rpm, if it has anything to tell. Of a root that is at rest nobody
// can be asked: its packages are unknown.
func readRPM(ctx context.Context, root *tree.Root, live bool, run execution) ([]Fact, []Unknown) {
	dir := rpmDatabase(root)
	if dir == "" {
		return nil, nil
	}
	err := errors.New("only the system itself can read this database, and it is not running")
	var facts []Fact
	if live {
		err = run(ctx, rpmQuery(dir, rpmPackages), func(r io.Reader) error {
			text, err := textOf(r)
			facts = rpmFacts(text)
			return err
		})
	}
	if err != nil {
		return nil, []Unknown{{Path: dir, Reason: "packages of rpm: " + err.Error(), Section: Package}}
	}
	return facts, nil
}

// rpmFacts reads what rpmPackages prints. There may be several versions of a
// package, such as kernels and keys, and one for several architectures.
func rpmFacts(text string) []Fact {
	versions := map[string][]string{}
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 3 || f[0] == "" || f[1] == "" {
			continue
		}
		versions[f[0]] = append(versions[f[0]], strings.TrimPrefix(f[1], "0:")+"\t"+f[2])
	}
	var facts []Fact
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		facts = append(facts, Fact{Package, name, inArchitectures(versions[name])})
	}
	return facts
}

// inArchitectures says which versions there are, and for what if that is not one.
func inArchitectures(list []string) string {
	slices.Sort(list)
	list = slices.Compact(list)
	architectures := map[string]bool{}
	for _, v := range list {
		_, arch, _ := strings.Cut(v, "\t")
		architectures[arch] = true
	}
	var parts []string
	for _, v := range list {
		version, arch, _ := strings.Cut(v, "\t")
		if len(architectures) > 1 {
			version += "." + arch
		}
		parts = append(parts, version)
	}
	return strings.Join(parts, ", ")
}

// addRPM reads what rpmFiles prints: a package, a digest, and a file. Directories
// and links have no digest.
func (o *Owners) addRPM(r io.Reader) error {
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		f := strings.SplitN(s.Text(), "\t", 3)
		if len(f) < 3 || !path.IsAbs(f[2]) {
			continue // a name of two lines
		}
		file := usrMerged(f[2])
		o.byPath[file] = f[0]
		if hashOf(f[1]) != nil {
			o.sums[file] = f[1]
		}
	}
	return s.Err()
}
