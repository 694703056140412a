package pod

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/durable"
)

// recordVersion is the version of the file pod.json.
const recordVersion = 1

// maxRecord is the maximum size of a pod.json, in bytes. The file contains the
// manifest's ConfigMaps and Secrets, of at most 1 MiB each.
const maxRecord = 64 << 20

// A record is the content of pod.json: everything that is needed to start any
// container of the pod again.
type record struct {
	Version int       `json:"version"`
	UID     string    `json:"uid"`
	Created time.Time `json:"created"`
	Owner   int       `json:"owner"` // process that created it, for messages only
	Spec    PodSpec   `json:"spec"`

	damaged error // set if pod.json could not be read
}

// writeRecord atomically creates the pod's directory, with its record and a lock
// that this process holds. If a directory is not committed and its lock is free,
// the process that created it has ended.
func writeRecord(root string, r *record) (*fileLock, error) {
	l := newLayout(root, r.UID)
	data, err := r.encode()
	if err != nil {
		return nil, err
	}
	// The directory gets its name only once it is locked: Recover in another
	// process would remove it otherwise.
	tmp := filepath.Join(podsDir(root), ".new-"+r.UID)
	if err := os.Mkdir(tmp, 0o700); err != nil {
		return nil, err
	}
	lock, err := acquire(filepath.Join(tmp, "lock"), false)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(tmp))
	}
	err = durable.WriteFile(filepath.Join(tmp, "pod.json"), data, 0o600)
	if err == nil {
		err = os.Rename(tmp, l.Dir)
	}
	if err == nil {
		err = durable.SyncDir(podsDir(root))
	}
	if err != nil {
		lock.release()
		return nil, errors.Join(err, os.RemoveAll(tmp))
	}
	return lock, nil
}

func (r *record) encode() ([]byte, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode pod %s: %w", r.Spec.Name, err)
	}
	return data, nil
}

// readRecord reads a pod's record and checks its version and UID.
func readRecord(l layout) (*record, error) {
	info, err := os.Stat(l.record())
	if err != nil {
		return nil, err
	}
	if info.Size() > maxRecord {
		return nil, fmt.Errorf("read %s: it has %d bytes, more than %d", l.record(), info.Size(), int64(maxRecord))
	}
	data, err := os.ReadFile(l.record())
	if err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("read %s: %w", l.record(), err)
	}
	if r.Version != recordVersion || r.UID != l.UID {
		return nil, fmt.Errorf("read %s: version %d of pod %s, want version %d of %s", l.record(), r.Version, r.UID, recordVersion, l.UID)
	}
	return &r, nil
}

// podUIDs lists the pods that have a directory, including those that are being
// created or removed.
func podUIDs(root string) ([]string, error) {
	entries, err := os.ReadDir(podsDir(root))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var uids []string
	for _, e := range entries {
		if e.IsDir() && e.Name()[0] != '.' {
			uids = append(uids, e.Name())
		}
	}
	return uids, nil
}

func exists(path string) bool {
	// Not os.Lstat, which allocates a FileInfo: this is called every second.
	return unix.Faccessat(unix.AT_FDCWD, path, unix.F_OK, unix.AT_SYMLINK_NOFOLLOW) == nil
}

// A fileLock is a lock of package durable. The kernel releases it when the
// process ends, even if it is killed.
type fileLock struct{ f *os.File }

// acquire takes the exclusive lock of a file, which it creates if needed.
// Without wait it returns durable.ErrLocked if the lock is held.
func acquire(path string, wait bool) (*fileLock, error) {
	lock := durable.TryLock
	if wait {
		lock = durable.Lock
	}
	f, err := lock(path)
	if err != nil {
		return nil, err
	}
	return &fileLock{f}, nil
}

func (l *fileLock) release() { _ = durable.Unlock(l.f) } // it is released in any case when this process ends
