package profile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	yaml3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"

	"github.com/adamant-sh/adamant/internal/document"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// MaxFile is the size limit of Parse, in bytes. A profile of ten thousand
// writes has a tenth of it.
const MaxFile = 16 << 20

const header = `# What a workload writes, and the volumes with which its root file system can be
# read-only. Learned by adamant; reviewed and kept beside the manifest. Fields are
# described in docs/design.md.
`

// Parse parses a profile from YAML or JSON. It refuses unknown fields and
// values that Marshal would not write. An error names the field and its valid
// values.
func Parse(data []byte) (Profile, error) {
	if len(data) > MaxFile {
		return Profile{}, fmt.Errorf("parse profile: %d bytes are more than the %d that a profile can have", len(data), MaxFile)
	}
	var p Profile
	if err := yaml.UnmarshalStrict(data, &p); err != nil {
		// A manifest in place of a profile is reported by its kind and not by
		// its first unknown field.
		var head document.Header
		if yaml.Unmarshal(data, &head) == nil && head != (document.Header{}) {
			p.APIVersion, p.Kind = head.APIVersion, head.Kind
			if wrong := p.checkKind(); wrong != nil {
				err = wrong
			}
		}
		return Profile{}, fmt.Errorf("parse profile: %w", err)
	}
	if err := p.validate(); err != nil {
		return Profile{}, fmt.Errorf("parse profile: %w", err)
	}
	return p.sorted(), nil
}

// Marshal returns the profile as YAML, in a stable order: fields as they are
// declared, writes and volumes by path.
func (p Profile) Marshal() ([]byte, error) {
	doc, err := json.Marshal(p.sorted())
	if err != nil {
		return nil, fmt.Errorf("marshal profile %s: %w", p.Name, err)
	}
	// JSON is YAML, and reading it as nodes keeps the order of the fields.
	var node yaml3.Node
	if err := yaml3.Unmarshal(doc, &node); err != nil {
		return nil, fmt.Errorf("marshal profile %s: %w", p.Name, err)
	}
	plain(&node)
	var out bytes.Buffer
	out.WriteString(header)
	enc := yaml3.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&node); err != nil {
		return nil, fmt.Errorf("marshal profile %s: %w", p.Name, err)
	}
	if err := enc.Close(); err != nil {
		return nil, fmt.Errorf("marshal profile %s: %w", p.Name, err)
	}
	return out.Bytes(), nil
}

// plain changes JSON's style to the one that people write, with octal modes.
func plain(n *yaml3.Node) {
	if n.Kind != yaml3.ScalarNode || n.Tag != "!!str" || isPlain(n.Value) {
		n.Style = 0
	}
	for i, child := range n.Content {
		plain(child)
		if len(child.Content) == 0 && child.Kind != yaml3.ScalarNode {
			child.Style = yaml3.FlowStyle
		}
		if n.Kind != yaml3.MappingNode || i%2 == 0 {
			continue
		}
		switch n.Content[i-1].Value {
		case "mode":
			if mode, err := strconv.ParseUint(child.Value, 10, 32); err == nil && mode > 0 {
				child.Value = fmt.Sprintf("%#o", mode)
			}
		case "ops", "by", "uids", "command", "args":
			child.Style = yaml3.FlowStyle
		}
	}
}

// isPlain reports whether a string needs no quotes in any version of YAML: it
// begins like a word or a path, and is not a word with a special meaning.
func isPlain(s string) bool {
	if !plainForm.MatchString(s) || strings.Contains(s, ": ") {
		return false
	}
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		return false
	}
	return true
}

var plainForm = regexp.MustCompile(`^[A-Za-z/]([A-Za-z0-9/._,:@%+*=() -]*[A-Za-z0-9/_*)])?$|^[0-9]+[MG]i$|^([0-9.]+(h|m|s))+$`)

// sorted returns a copy with sorted lists. Lists that are always written are
// empty and not null.
func (p Profile) sorted() Profile {
	p.Reasons, p.Weak, p.Load = orNil(p.Reasons), orNil(p.Weak), orNil(p.Load)
	p.Containers = slices.Clone(p.Containers)
	if p.Containers == nil {
		p.Containers = []Container{}
	}
	for i := range p.Containers {
		c := &p.Containers[i]
		c.Command, c.Args, c.Weak = orNil(c.Command), orNil(c.Args), orNil(c.Weak)
		c.Writes = sortWrites(c.Writes, []Write{})
		c.Refused = sortWrites(c.Refused, nil)
		c.Spared = sortWrites(c.Spared, nil)
		c.Unsolved = sortWrites(c.Unsolved, nil)
		c.Volumes = append([]Volume{}, c.Volumes...)
		slices.SortStableFunc(c.Volumes, func(a, b Volume) int { return tree.ComparePaths(a.MountPath, b.MountPath) })
	}
	return p
}

// orNil returns nil for an empty list, which is not written.
func orNil(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return list
}

func sortWrites(writes, empty []Write) []Write {
	if len(writes) == 0 {
		return empty
	}
	writes = slices.Clone(writes)
	for i := range writes {
		writes[i].By = append([]string{}, writes[i].By...)
	}
	slices.SortStableFunc(writes, func(a, b Write) int { return tree.ComparePaths(a.Path, b.Path) })
	return writes
}
