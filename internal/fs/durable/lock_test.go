package durable

import (
	"context"
	"errors"
	"os"
	"os/exec"
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

// TestUnlockWhileAChildHasTheFile checks that a lock can be taken again at once although a
// child process of the last holder has its file, as each has before its execve.
func TestUnlockWhileAChildHasTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	has := func(f *os.File) (end func()) {
		child := exec.Command("sleep", "60")
		child.ExtraFiles = []*os.File{f}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		return func() {
			child.Process.Kill()
			child.Wait()
		}
	}
	defer has(held)()
	if err := Unlock(held); err != nil {
		t.Fatal(err)
	}
	again, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	// What is passed on stays locked.
	defer has(again)()
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := TryLock(path); !errors.Is(err, ErrLocked) {
		t.Errorf("a lock that a child has: %v", err)
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
