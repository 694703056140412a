package report

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/drift"
	"github.com/adamant-sh/adamant/internal/fs/tree"
)

// fieldChanges returns each field with its value before and after.
func fieldChanges(ch *drift.Change) []string {
	if ch.Want == nil || ch.Got == nil {
		return ch.Fields
	}
	var words []string
	for _, field := range ch.Fields {
		words = append(words, fieldChange(field, ch.Want, ch.Got))
	}
	return words
}

func fieldChange(field string, want, got *tree.Entry) string {
	arrow := func(before, after string) string { return fmt.Sprintf("%s %s → %s", field, before, after) }
	switch field {
	case tree.FieldContent:
		if want.Size != got.Size {
			return arrow(fmt.Sprint(want.Size), fmt.Sprint(got.Size, " bytes"))
		}
	case tree.FieldType:
		return arrow(want.Kind.String(), got.Kind.String())
	case tree.FieldMode:
		return arrow(fmt.Sprintf("%04o", want.Mode), fmt.Sprintf("%04o", got.Mode))
	case tree.FieldOwner:
		return arrow(fmt.Sprintf("%d:%d", want.UID, want.GID), fmt.Sprintf("%d:%d", got.UID, got.GID))
	case tree.FieldTarget:
		return arrow(want.Target, got.Target)
	case tree.FieldDevice:
		return arrow(fmt.Sprintf("%d:%d", want.Major, want.Minor), fmt.Sprintf("%d:%d", got.Major, got.Minor))
	case tree.FieldXattr:
		return field + " " + strings.Join(xattrChanges(want.Xattrs, got.Xattrs), " ")
	case tree.FieldCapability:
		return arrow(capability(want), capability(got))
	}
	return field
}

func capability(e *tree.Entry) string {
	value, ok := e.Xattrs[tree.CapabilityXattr]
	if !ok {
		return "none"
	}
	return "0x" + hex.EncodeToString([]byte(value))
}

// xattrChanges names the attributes that differ: +new, -lost, ~other.
func xattrChanges(want, got map[string]string) []string {
	names := map[string]string{}
	for name, value := range got {
		if before, had := want[name]; !had {
			names[name] = "+"
		} else if before != value {
			names[name] = "~"
		}
	}
	for name := range want {
		if _, has := got[name]; !has {
			names[name] = "-"
		}
	}
	delete(names, tree.CapabilityXattr) // a field of its own
	var words []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		words = append(words, names[name]+name)
	}
	return words
}
