package manifest

import "testing"

// Errors of fields that could not be decoded are left out, and of the fields below
// and above them, but not of fields whose names only begin like theirs.
func TestErrorsOfUndecodedFieldsAreLeftOut(t *testing.T) {
	undecoded := Errors{{Path: "spec.ports[1].port"}}
	for path, kept := range map[string]bool{
		"spec.ports[1].port": false, "spec.ports[1].port.x": false, "spec.ports": false, "spec": false, "": false,
		"spec.ports[1].portName": true, "spec.ports[10]": true, "spec.po": true, "spec.ports[1].name": true,
	} {
		if got := len(without(Errors{{Path: path}}, undecoded)) == 1; got != kept {
			t.Errorf("%q: kept %t, want %t", path, got, kept)
		}
	}
}
