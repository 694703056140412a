package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// fingerprintVersion is the beginning of each fingerprint. It changes when the same finding
// gets another fingerprint.
const fingerprintVersion = "1:"

const fingerprintBytes = 16 // of a SHA-256 digest

// Fingerprint identifies a finding in files that change: it stays the same when lines are
// inserted above, when objects, containers or volumes are put in another order, and when
// the object moves to another file. It is made of the rule, the group, kind, namespace and
// name of the object, the container, and the field, with the names of items instead of
// their indexes. Of an object without a name it has the file instead.
//
// Findings of one check can have the same fingerprint: of two objects with the same name,
// or of two items without one. Who needs them to differ counts them.
func (f Finding) Fingerprint() string {
	id := f.identity
	parts := []string{f.Rule, groupOf(f.Object.APIVersion), f.Object.Kind, f.Object.Namespace, f.Object.Name, id.pod, f.Container, id.field}
	if f.Object.Name == "" {
		parts = append(parts, "file", f.Place.File)
	}
	parts = append(parts, id.subject...)
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p) // no two lists of parts have the same bytes
	}
	return fingerprintVersion + hex.EncodeToString(h.Sum(nil)[:fingerprintBytes])
}

// An identity is what distinguishes a finding from others of the same rule in the same
// object and container.
type identity struct {
	pod     string // path of the pod, with names of items
	field   string // path in the pod or container; in the object if it is about no pod
	subject []string
}

// identify returns the identity of a finding at a path. The index of the container is not
// part of it.
func (r *reporter) identify(path string) identity {
	id := identity{pod: r.podNamed, field: path}
	if r.list != "" {
		if rest, ok := below(path, r.basePath()); ok {
			id.field = r.list + "[]" + rest
			return id
		}
	}
	if rest, ok := below(path, r.pod); ok && r.pod != "" {
		id.field = rest
	}
	return id
}

// below returns the part of a path that is behind that of one of its parents.
func below(path, parent string) (string, bool) {
	rest, ok := strings.CutPrefix(path, parent)
	return rest, ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// about adds to the identity of a finding what it is about: the name of the item of a list
// that it is in, whose index is removed then, or what makes two findings at the same field
// different.
func (f *Finding) about(subject ...string) *Finding {
	for _, s := range subject {
		if s != "" {
			f.identity.subject = append(f.identity.subject, s)
		}
	}
	if len(f.identity.subject) > 0 {
		f.identity.field = withoutIndexes(f.identity.field)
	}
	return f
}

// withoutIndexes returns a path with [] for each index.
func withoutIndexes(path string) string {
	var b strings.Builder
	for path != "" {
		head, rest, found := strings.Cut(path, "[")
		b.WriteString(head)
		if !found {
			break
		}
		b.WriteByte('[')
		path = strings.TrimLeft(rest, "0123456789")
		if !strings.HasPrefix(path, "]") {
			path = rest
		}
	}
	return b.String()
}
