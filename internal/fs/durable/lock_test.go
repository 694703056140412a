package durable

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
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

// IsLocked does not make a concurrent TryLock fail.
func TestLookersAreInNobodysWay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if locked, err := IsLocked(path); locked || err != nil {
		t.Errorf("a file that is not there: %v, %v", locked, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var lookers sync.WaitGroup
	for range 4 {
		lookers.Go(func() {
			for ctx.Err() == nil {
				if _, err := IsLocked(path); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 1000 {
		f, err := TryLock(path)
		if err != nil {
			t.Fatal(err)
		}
		if locked, err := IsLocked(path); !locked || err != nil {
			t.Errorf("a lock that is held: %v, %v", locked, err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	lookers.Wait()
}
