package durable

import (
	"errors"
	"path/filepath"
	"testing"
)

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := TryLock(path); !errors.Is(err, ErrLocked) {
		t.Errorf("a lock that is held: %v", err)
	}
	got := make(chan error)
	go func() {
		f, err := Lock(path)
		if err == nil {
			err = f.Close()
		}
		got <- err
	}()
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Errorf("a lock that was given up: %v", err)
	}
}
