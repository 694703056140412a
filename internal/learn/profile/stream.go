package profile

import (
	"bytes"
	"fmt"
)

// separator separates the profiles in one file.
var separator = []byte("\n---\n")

// ParseAll parses the profiles of one file, as MarshalAll writes them. name is
// used in errors.
func ParseAll(name string, data []byte) ([]Profile, error) {
	var out []Profile
	for i, doc := range bytes.Split(data, separator) {
		p, err := Parse(doc)
		if err != nil {
			return nil, fmt.Errorf("%s: document %d: %w", name, i+1, err)
		}
		p.File = name
		out = append(out, p)
	}
	return out, nil
}

// MarshalAll writes profiles as documents of one YAML file.
func MarshalAll(all []Profile) ([]byte, error) {
	var docs [][]byte
	for _, p := range all {
		doc, err := p.Marshal()
		if err != nil {
			return nil, err
		}
		docs = append(docs, bytes.TrimSuffix(doc, []byte("\n")))
	}
	return append(bytes.Join(docs, separator), '\n'), nil
}
