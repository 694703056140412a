package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/pod"
)

// ErrForeground is returned while another process keeps workloads of its own on
// the data directory.
var ErrForeground = errors.New("an adamant run in the foreground uses this data directory")

// ephemeralDir is the directory of the stores of ephemeral controllers. Each is
// named for the holder of its pins and locked while its process lives.
func ephemeralDir(root string) string { return filepath.Join(root, "fleet", "foreground") }

const storeSuffix = ".db"

// openEphemeral creates a store. It does not sync: an ephemeral store need not
// survive a power failure.
func openEphemeral(root string) (_ *store, holder string, err error) {
	for {
		holder := "foreground-" + strings.ToLower(rand.Text())
		path := filepath.Join(ephemeralDir(root), holder+storeSuffix)
		s, err := openFile(path, bbolt.Options{NoSync: true})
		if err != nil {
			return nil, "", err
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return s, holder, nil
		}
		// A sweep removed the file before it was locked.
		if err := s.close(); err != nil {
			return nil, "", err
		}
	}
}

// RemoveAll drains and removes everything that an ephemeral controller keeps,
// including its store, and closes it. What is left when ctx ends is removed by
// the next process that opens the data directory.
func (c *Controller) RemoveAll(ctx context.Context) error {
	err := c.deleteAll(ctx)
	if err == nil {
		err = c.engine.Ensure(ctx)
	}
	if err == nil {
		err = c.engine.UnpinAll(ctx, c.pinHolder)
	}
	if err == nil {
		// The store is removed last: until then the next process finds by it
		// that something is left.
		err = os.Remove(filepath.Join(ephemeralDir(c.root), c.pinHolder+storeSuffix))
	}
	return errors.Join(err, c.Close())
}

// deleteAll deletes every workload and waits until all are gone.
func (c *Controller) deleteAll(ctx context.Context) error {
	var errs []error
	for _, w := range c.all() {
		if err := c.Delete(w.key, Author{}); err != nil && !errors.Is(err, ErrDeleting) && !errors.Is(err, ErrNotFound) {
			errs = append(errs, err)
		}
	}
	for len(errs) == 0 && len(c.all()) > 0 {
		if ctx.Err() != nil {
			return fmt.Errorf("remove %s: %w", c.all()[0].key, context.Cause(ctx))
		}
		clock.Sleep(ctx, 20*time.Millisecond)
	}
	return errors.Join(errs...)
}

// Sweep removes the stores and the pins of ephemeral controllers whose
// processes were killed. pod.Open removes their pods.
func Sweep(ctx context.Context, e *pod.Engine) error {
	stores, err := filepath.Glob(filepath.Join(ephemeralDir(e.Root()), "*"+storeSuffix))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range stores {
		if err := sweepStore(ctx, e, path); err != nil {
			errs = append(errs, fmt.Errorf("remove what a killed process left: %w", err))
		}
	}
	return errors.Join(errs...)
}

func sweepStore(ctx context.Context, e *pod.Engine, path string) error {
	f, err := lockStore(path)
	if f == nil || err != nil {
		return err
	}
	defer f.Close()
	holder := strings.TrimSuffix(filepath.Base(path), storeSuffix)
	if err := e.UnpinAll(ctx, holder); err != nil {
		return err
	}
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil // another sweep removed it
}

// lockStore locks a store whose process is gone. It returns nil if the process
// lives or the store is gone.
func lockStore(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, f.Close()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}

// checkForeground returns ErrForeground while a process keeps an ephemeral
// controller.
func checkForeground(root string) error {
	stores, err := filepath.Glob(filepath.Join(ephemeralDir(root), "*"+storeSuffix))
	if err != nil {
		return err
	}
	for _, path := range stores {
		f, err := lockStore(path)
		if err != nil {
			return err
		}
		if f != nil {
			f.Close()
		} else if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return ErrForeground
		}
	}
	return nil
}
