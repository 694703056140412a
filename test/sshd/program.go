package sshd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Program implements T for a program that opens a lab: it prints errors on
// standard error and exits with 1.
type Program struct {
	cleanups []func()
	failed   bool
}

func (p *Program) Context() context.Context { return context.Background() }
func (p *Program) Helper()                  {}
func (p *Program) Failed() bool             { return p.failed }
func (p *Program) Cleanup(f func())         { p.cleanups = append(p.cleanups, f) }

func (p *Program) TempDir() string {
	dir, err := os.MkdirTemp("/var/tmp", "adamant-lab-")
	if err != nil {
		p.Fatalf("%v", err)
	}
	p.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Clean(dir)
}

func (p *Program) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func (p *Program) Errorf(format string, args ...any) {
	p.Logf(format, args...)
	p.failed = true
}

func (p *Program) Fatalf(format string, args ...any) {
	p.Errorf(format, args...)
	p.End()
}

// End closes everything.
func (p *Program) End() {
	for _, f := range slices.Backward(p.cleanups) {
		f()
	}
	if p.failed {
		os.Exit(1)
	}
}
