package capture

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/fs/rootfs"
	"github.com/adamant-sh/adamant/internal/fs/tree"
	"github.com/adamant-sh/adamant/internal/servers/facts"
)

// maxUnit bounds the size of a unit or another text file that is read, in bytes.
const maxUnit = 1 << 20

// A unit is the configuration of a service: its file and its drop-ins.
type unit struct {
	name     string // of the file, without aliases: "nginx.service", "app@blue.service"
	files    []string
	settings map[string][]string // "Service.ExecStart"
}

// loadUnit reads a unit. ok is false if it has no file.
func loadUnit(root *rootfs.Root, name string) (u unit, ok bool, err error) {
	u = unit{name: name, settings: map[string][]string{}}
	file := ""
	for _, candidate := range []string{name, u.template()} {
		if file = findUnit(root, candidate); file != "" {
			break
		}
	}
	if file == "" {
		return u, false, nil
	}
	if base := path.Base(file); base != u.template() {
		u.name = base // it was an alias
	}
	u.files = append([]string{file}, u.dropIns(root)...)
	for _, f := range u.files {
		text, err := readText(root, f)
		if err != nil {
			return u, false, err
		}
		u.parse(text)
	}
	return u, true, nil
}

// template returns the name of the template of an instance: "app@.service" for
// "app@blue.service". It returns the name of any other unit.
func (u *unit) template() string {
	stem, instance, isInstance := strings.Cut(u.name, "@")
	if !isInstance {
		return u.name
	}
	return stem + "@" + path.Ext(instance)
}

// instance returns the value of %i.
func (u *unit) instance() string {
	_, instance, _ := strings.Cut(u.stem(), "@")
	return instance
}

// stem returns the name without its type.
func (u *unit) stem() string { return strings.TrimSuffix(u.name, path.Ext(u.name)) }

// findUnit returns the canonical path of a unit's file.
func findUnit(root *rootfs.Root, name string) string {
	for _, dir := range facts.UnitDirs() {
		file, exists, err := root.Resolve(path.Join(dir, name))
		if err != nil || !exists {
			continue
		}
		if e, err := root.Lstat(file); err == nil && e.Kind == tree.Regular {
			return file
		}
	}
	return ""
}

// dropIns returns the drop-in files of a unit, in the order of their names. As for
// systemd, the order of the directories only decides between files with one name.
func (u *unit) dropIns(root *rootfs.Root) []string {
	byName := map[string]string{}
	for _, dir := range facts.UnitDirs() {
		for _, d := range []string{u.name + ".d", u.template() + ".d"} {
			entries, _ := root.ReadDir(path.Join(dir, d)) // most units have none
			for _, e := range entries {
				base := path.Base(e.Path)
				if byName[base] == "" && strings.HasSuffix(base, ".conf") && e.Kind == tree.Regular {
					byName[base] = e.Path
				}
			}
		}
	}
	var files []string
	for _, base := range slices.Sorted(maps.Keys(byName)) {
		files = append(files, byName[base])
	}
	return files
}

// parse adds the settings of a file in the syntax of systemd.syntax(7).
func (u *unit) parse(text string) {
	section, pending := "", ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" && pending == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		if rest, goesOn := strings.CutSuffix(line, `\`); goesOn {
			pending += rest + " "
			continue
		}
		line, pending = pending+line, ""
		if strings.HasPrefix(line, "[") {
			section = strings.Trim(line, "[]")
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		key, value = section+"."+strings.TrimSpace(key), strings.TrimSpace(value)
		if value == "" {
			delete(u.settings, key) // an empty value resets the list
			continue
		}
		u.settings[key] = append(u.settings[key], value)
	}
}

// all returns the values of a setting of the section Service.
func (u *unit) all(key string) []string { return u.settings["Service."+key] }

// last returns the last value of a setting that is not a list. It overrides the others.
func (u *unit) last(key string) string {
	values := u.all(key)
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// words returns the values of a setting that is a list of words.
func (u *unit) words(key string) []string {
	var list []string
	for _, v := range u.all(key) {
		list = append(list, strings.Fields(v)...)
	}
	return list
}

// specifiers returns the values of the specifiers that only depend on the unit, not
// on the machine (systemd.unit(5)).
func (u *unit) specifiers() map[byte]string {
	prefix, _, _ := strings.Cut(u.stem(), "@")
	last := prefix[strings.LastIndex(prefix, "-")+1:]
	return map[byte]string{
		'i': u.instance(), 'I': unescapeUnit(u.instance()), 'n': u.name, 'N': u.stem(), 'p': prefix, 'P': unescapeUnit(prefix), 'j': last,
		't': "/run", 'S': "/var/lib", 'C': "/var/cache", 'L': "/var/log", 'E': "/etc", 'T': "/tmp", 'V': "/var/tmp", '%': "%",
		'h': "/root", 'u': "root", 'U': "0",
	}
}

// expand replaces the specifiers in a setting.
func (u *unit) expand(text string) (string, error) {
	var b strings.Builder
	known := u.specifiers()
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			b.WriteByte(text[i])
			continue
		}
		if i++; i == len(text) {
			return "", fmt.Errorf("%q ends in %%", text)
		}
		value, ok := known[text[i]]
		if !ok {
			return "", fmt.Errorf("%%%c in %q is known on the server only", text[i], text)
		}
		b.WriteString(value)
	}
	return b.String(), nil
}

// unescapeUnit reverts systemd-escape(1) for "/", but not for other characters.
func unescapeUnit(s string) string { return strings.ReplaceAll(s, "-", "/") }

// readText reads a small text file.
func readText(root *rootfs.Root, file string) (string, error) {
	f, err := root.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxUnit))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", file, err)
	}
	return string(content), nil
}

// textLines returns the lines of a small text file that are neither empty nor
// comments, none if the file cannot be read.
func textLines(root *rootfs.Root, file string) []string {
	text, err := readText(root, file)
	if err != nil {
		return nil
	}
	var list []string
	s := bufio.NewScanner(strings.NewReader(text))
	s.Buffer(nil, maxUnit)
	for s.Scan() {
		if line := strings.TrimSpace(s.Text()); line != "" && line[0] != '#' && line[0] != ';' {
			list = append(list, line)
		}
	}
	return list
}
