package main

import (
	"io"
	"log"
	"testing"

	"github.com/sirupsen/logrus"
)

// Nothing that a library logs reaches standard error.
func TestLibrariesAreSilent(t *testing.T) {
	silenceLibraries()
	if log.Writer() != io.Discard || logrus.StandardLogger().Out != io.Discard {
		t.Error("a library can log on standard error")
	}
}
