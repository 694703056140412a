package facts

import (
	"bufio"
	"io"
	"strconv"
	"strings"
)

// names holds the names of a server's users and groups by number.
type names struct{ users, groups map[uint32]string }

func (n names) user(id uint32) string  { return nameOr(n.users, id) }
func (n names) group(id uint32) string { return nameOr(n.groups, id) }

func nameOr(names map[uint32]string, id uint32) string {
	if name, ok := names[id]; ok {
		return name
	}
	return strconv.FormatUint(uint64(id), 10)
}

// readNames reads /etc/passwd and /etc/group. Without them users and groups keep
// their numbers.
func readNames(f files) names {
	return names{idsOf(f, "/etc/passwd"), idsOf(f, "/etc/group")}
}

func idsOf(from files, file string) map[uint32]string {
	ids := map[uint32]string{}
	for _, f := range records(from, file) {
		if len(f) < 3 {
			continue
		}
		id, err := strconv.ParseUint(f[2], 10, 32)
		if _, known := ids[uint32(id)]; err == nil && !known {
			ids[uint32(id)] = f[0] // as in getpwuid(3) the first entry of a number counts
		}
	}
	return ids
}

// maxText bounds how much of a text file is read, in bytes.
const maxText = 16 << 20

// lines returns the lines of a text file, none if it cannot be read.
func lines(from files, file string) []string {
	f, err := from.open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	var list []string
	s := bufio.NewScanner(io.LimitReader(f, maxText))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		list = append(list, s.Text())
	}
	return list
}

// records returns the lines of a file such as passwd(5), split into their fields.
func records(from files, file string) [][]string {
	var list [][]string
	for _, line := range lines(from, file) {
		if line != "" && line[0] != '#' {
			list = append(list, strings.Split(line, ":"))
		}
	}
	return list
}
