package main

import "testing"

// The program goes on when its pages are dropped, and there are some to drop.
func TestDropProgram(t *testing.T) {
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
