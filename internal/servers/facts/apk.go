package facts

import (
	"encoding/base64"
	"encoding/hex"
	"path"
	"strings"
)

// apkDatabase is the database of apk. Each line has a letter, a colon and a value, see
// apk(5).
const apkDatabase = "/lib/apk/db/installed"

// apkPackages parses apk's records: P is a package, V its version.
func apkPackages(text []string) []InstalledPackage {
	var packages []InstalledPackage
	name := ""
	for _, line := range text {
		key, value, _ := strings.Cut(line, ":")
		switch key {
		case "P":
			name = value
		case "V":
			packages = append(packages, InstalledPackage{Name: name, Version: value, State: Installed})
		}
	}
	return packages
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
			encoded, ok := strings.CutPrefix(value, "Q1") // SHA-1 in base64
			if sum, err := base64.StdEncoding.DecodeString(encoded); ok && err == nil && file != "" {
				o.sums[file] = hex.EncodeToString(sum)
			}
		}
	}
}
