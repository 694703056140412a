package local

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// A store is the database of the declared objects and their history, in one
// file. A transaction is on the disk when it returns.
//
//	workloads    namespace/kind/name          -> record
//	generations  namespace/kind/name/NUMBER   -> Generation
//	attempts     namespace/kind/name/NUMBER   -> Attempt
//	events       namespace/kind/name/NUMBER   -> Event
//	log          NUMBER                       -> event.Event, of all workloads
//	cursors      name of a sink of events     -> number of the last one that it had
//	deleted      namespace/kind/name          -> Deletion
//	services     namespace/name               -> corev1.Service
//	addresses    namespace/name               -> serviceAddress
//	configmaps   namespace/name               -> corev1.ConfigMap
//	secrets      namespace/name               -> corev1.Secret
//	ingresses    namespace/name               -> ingressRecord
type store struct {
	db       *bbolt.DB
	appended *appended
}

var buckets = []string{"workloads", "generations", "attempts", "events", "log", "cursors", "deleted", "services", "addresses", "configmaps", "secrets", "ingresses"}

// A record is the stored state of a workload, without its generations.
type record struct {
	Key       Key                            `json:"key"`
	Spec      rollout.Spec                   `json:"spec"`
	Policy    rollout.Policy                 `json:"policy"`
	State     rollout.State                  `json:"state"`
	Declared  corev1.PodTemplateSpec         `json:"declared"` // as in the manifest, with unpinned images
	Deleting  bool                           `json:"deleting,omitempty"`
	Paused    bool                           `json:"paused,omitempty"`   // by the manifest; State.Paused may be by hand
	Retain    int                            `json:"retain"`             // number of generations that are kept for an undo
	Claims    []corev1.PersistentVolumeClaim `json:"claims,omitempty"`   // templates of a StatefulSet, as in the manifest
	Retention retention                      `json:"retention,omitzero"` // of the claims of its pods
	Job       *jobRecord                     `json:"job,omitempty"`      // of a Job
	Cron      *cronRecord                    `json:"cron,omitempty"`     // of a CronJob
}

// ErrServing is returned while another process serves the data directory.
var ErrServing = errors.New("another adamant serves this data directory")

// openStore opens the store of a data directory's declared workloads.
func openStore(root string) (*store, error) {
	path := filepath.Join(root, "fleet", "fleet.db")
	s, err := openFile(path, bbolt.Options{Timeout: time.Second})
	// bbolt locks the file, so another process has it open.
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, ErrServing
	}
	return s, err
}

func openFile(path string, o bbolt.Options) (*store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	db, err := bbolt.Open(path, 0o600, &o)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, b := range buckets {
			if _, err := tx.CreateBucketIfNotExists([]byte(b)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &store{db, newAppended()}, nil
}

// destroy removes all stores and evidence of a data directory, without its
// pods. It returns ErrServing while a daemon serves the directory, and
// ErrForeground while another process keeps workloads on it.
func destroy(root string) error {
	dir := filepath.Join(root, "fleet")
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	s, err := openStore(root)
	if errors.Is(err, ErrServing) {
		return err
	}
	if err == nil {
		// The lock is held during the removal, so that no daemon starts in
		// between. A damaged store, which cannot be opened, is removed, too.
		defer s.close()
	}
	if err := checkForeground(root); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

func (s *store) close() error { return s.db.Close() }

// A tx is one transaction. A function with a tx that returns an error rolls the
// transaction back.
type tx struct {
	*bbolt.Tx
	appended *appended // is told of events once they are on the disk
}

func (s *store) update(f func(tx) error) error {
	return s.db.Update(func(t *bbolt.Tx) error { return f(tx{t, s.appended}) })
}

func (s *store) view(f func(tx) error) error {
	return s.db.View(func(t *bbolt.Tx) error { return f(tx{t, s.appended}) })
}

func put[T any](t tx, bucket, key string, value T) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("keep %s %s: %w", bucket, key, err)
	}
	return t.Bucket([]byte(bucket)).Put([]byte(key), data)
}

// get reads one value. ok is false if there is none.
func get[T any](t tx, bucket, key string) (value T, ok bool, err error) {
	data := t.Bucket([]byte(bucket)).Get([]byte(key))
	if data == nil {
		return value, false, nil
	}
	if err := json.Unmarshal(data, &value); err != nil {
		return value, false, fmt.Errorf("read %s %s of the store: %w", bucket, key, err)
	}
	return value, true, nil
}

// each calls f with all values whose key has a prefix, in order.
func each[T any](t tx, bucket, prefix string, f func(key string, value T) error) error {
	c := t.Bucket([]byte(bucket)).Cursor()
	for k, v := c.Seek([]byte(prefix)); k != nil && len(k) >= len(prefix) && string(k[:len(prefix)]) == prefix; k, v = c.Next() {
		var value T
		if err := json.Unmarshal(v, &value); err != nil {
			return fmt.Errorf("read %s %s of the store: %w", bucket, k, err)
		}
		if err := f(string(k), value); err != nil {
			return err
		}
	}
	return nil
}

func all[T any](t tx, bucket, prefix string) ([]T, error) {
	var list []T
	err := each(t, bucket, prefix, func(_ string, v T) error {
		list = append(list, v)
		return nil
	})
	return list, err
}

func remove(t tx, bucket, key string) error { return t.Bucket([]byte(bucket)).Delete([]byte(key)) }

// removeAll removes all values whose key has a prefix.
func removeAll(t tx, bucket, prefix string) error {
	// Deleting keys would invalidate the cursor of each.
	var keys []string
	err := each(t, bucket, prefix, func(key string, _ json.RawMessage) error {
		keys = append(keys, key)
		return nil
	})
	for _, k := range keys {
		err = errors.Join(err, remove(t, bucket, k))
	}
	return err
}

// numberedKey returns the key of a numbered value of a workload. The number is
// big-endian, so that keys sort by number.
func numberedKey(k Key, n int) string {
	return keyPrefix(k) + string(binary.BigEndian.AppendUint64(nil, uint64(n)))
}

// keyPrefix returns the prefix of the keys of a workload's numbered values. It
// ends with a slash: the name of one workload may begin with that of another.
func keyPrefix(k Key) string { return k.String() + "/" }

// lastNumber returns the largest number of a workload's values in a bucket, 0
// if there is none.
func lastNumber(t tx, bucket string, k Key) int {
	n := 0
	c := t.Bucket([]byte(bucket)).Cursor()
	prefix := keyPrefix(k)
	for key, _ := c.Seek([]byte(prefix)); key != nil && len(key) == len(prefix)+8 && string(key[:len(prefix)]) == prefix; key, _ = c.Next() {
		n = int(binary.BigEndian.Uint64(key[len(prefix):]))
	}
	return n
}
