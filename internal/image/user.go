package image

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A User is the user that a container's program runs as.
type User struct {
	UID    uint32
	GID    uint32
	Groups []uint32 // supplementary, sorted, without GID
	Name   string   // empty if /etc/passwd does not have the UID
	Home   string   // "/" if it is not known
}

// ErrNoUser is returned if an image has no user or group of a name.
var ErrNoUser = errors.New("not in the image")

// LookupUser resolves "user", "uid", "user:group", "uid:gid" and so on, as runtimes do.
// An empty spec means root. A UID that is not in /etc/passwd is valid and has group 0; a
// name that is not there is ErrNoUser. The supplementary groups are those that list the
// user in /etc/group. A group in the spec replaces the user's own. Malformed lines,
// which some images have, are skipped.
func LookupUser(spec string, passwd, group []byte) (User, error) {
	name, groupName, hasGroup := strings.Cut(spec, ":")
	if name == "" {
		name = "0"
	}
	u := User{Home: "/"}
	uid, numeric := parseID(name)
	found := false
	for f := range colonLines(passwd, 7) {
		lineUID, ok := parseID(f[2])
		if !ok || f[0] != name && !(numeric && lineUID == uid) {
			continue
		}
		gid, _ := parseID(f[3])
		u.UID, u.GID, u.Name, found = lineUID, gid, f[0], true
		if f[5] != "" {
			u.Home = f[5]
		}
		break
	}
	if !found {
		if !numeric {
			return User{}, fmt.Errorf("user %q: %w", name, ErrNoUser)
		}
		u.UID = uid
	}
	if hasGroup && groupName != "" {
		gid, err := lookupGroup(groupName, group)
		if err != nil {
			return User{}, err
		}
		u.GID = gid
	}
	u.Groups = groupsOf(u, group)
	return u, nil
}

func lookupGroup(name string, group []byte) (uint32, error) {
	for f := range colonLines(group, 4) {
		if gid, ok := parseID(f[2]); ok && f[0] == name {
			return gid, nil
		}
	}
	if gid, ok := parseID(name); ok {
		return gid, nil
	}
	return 0, fmt.Errorf("group %q: %w", name, ErrNoUser)
}

func groupsOf(u User, group []byte) []uint32 {
	var groups []uint32
	if u.Name == "" {
		return nil
	}
	for f := range colonLines(group, 4) {
		gid, ok := parseID(f[2])
		if ok && gid != u.GID && slices.Contains(strings.Split(f[3], ","), u.Name) {
			groups = append(groups, gid)
		}
	}
	slices.Sort(groups)
	return slices.Compact(groups)
}

// colonLines yields the fields of each line that has at least as many.
func colonLines(file []byte, fields int) func(func([]string) bool) {
	return func(yield func([]string) bool) {
		lines := bufio.NewScanner(bytes.NewReader(file))
		lines.Buffer(nil, maxFile+1)
		for lines.Scan() {
			line := strings.TrimSpace(lines.Text())
			f := strings.Split(line, ":")
			if strings.HasPrefix(line, "#") || len(f) < fields {
				continue
			}
			if !yield(f) {
				return
			}
		}
	}
}

func parseID(s string) (uint32, bool) {
	id, err := strconv.ParseUint(s, 10, 31)
	return uint32(id), err == nil
}
