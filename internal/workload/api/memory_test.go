package api

import "testing"

// TestReleaseProgram checks that the program continues after its pages were
// released.
func TestReleaseProgram(t *testing.T) {
	list, err := programMappings()
	if err != nil || len(list) == 0 {
		t.Fatalf("got %v, %v: want the mappings of this program", list, err)
	}
	for range 10 {
		if err := releaseProgram(); err != nil {
			t.Fatal(err)
		}
	}
}
