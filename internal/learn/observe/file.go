package observe

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/adamant-sh/adamant/internal/fs/durable"
	"github.com/adamant-sh/adamant/internal/learn/trace"
)

const maxTraceFile = 64 << 20 // bytes

// Load reads all traces that tracers left in dir, in the order of their file
// names. A trace that is still being written has Complete false. A file that is
// not a trace, or is truncated, is an error that names it.
func Load(dir string) ([]trace.Trace, error) {
	for range 100 {
		traces, err := loadDir(dir)
		// A trace may have been folded into another since the directory was
		// listed, perhaps into one that was not there yet.
		if !errors.Is(err, errMoved) {
			return traces, err
		}
	}
	return nil, fmt.Errorf("load traces: %s keeps changing", dir)
}

var errMoved = errors.New("trace was folded into another")

func loadDir(dir string) ([]trace.Trace, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("load traces: %w", err)
	}
	var traces []trace.Trace
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || filepath.Ext(e.Name()) != ".json" {
			continue
		}
		t, err := loadFile(filepath.Join(dir, e.Name()))
		if errors.Is(err, os.ErrNotExist) {
			return nil, errMoved
		}
		if err != nil {
			return nil, fmt.Errorf("load trace %s: %w", e.Name(), err)
		}
		traces = append(traces, t)
	}
	return traces, nil
}

func loadFile(name string) (trace.Trace, error) {
	// Without O_NONBLOCK, opening a FIFO would block.
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return trace.Trace{}, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return trace.Trace{}, fmt.Errorf("not a regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxTraceFile+1))
	if err != nil {
		return trace.Trace{}, err
	}
	if len(data) > maxTraceFile {
		return trace.Trace{}, fmt.Errorf("larger than %d bytes", maxTraceFile)
	}
	return trace.Parse(data)
}

// Merge folds the traces of each container into one, sorted by the container's
// name. The result is complete only if all its traces are, and its root is
// "init" if that of one is.
func Merge(traces []trace.Trace) []trace.Trace {
	tables := map[string]*table{}
	merged := map[string]*trace.Trace{}
	var order []string
	for _, t := range traces {
		if merged[t.Container] == nil {
			order = append(order, t.Container)
			tables[t.Container] = newTable()
			merged[t.Container] = &trace.Trace{Container: t.Container, Root: t.Root, Complete: true}
		}
		m := merged[t.Container]
		m.Complete = m.Complete && t.Complete
		if t.Root == "init" {
			m.Root = "init"
		}
		tables[t.Container].merge(t)
	}
	slices.Sort(order)
	list := make([]trace.Trace, 0, len(order))
	for _, name := range order {
		m := merged[name]
		m.Weak, m.Accesses = tables[name].reasons(), tables[name].accesses()
		list = append(list, *m)
	}
	return list
}

func (t *table) merge(from trace.Trace) {
	for _, r := range from.Weak {
		t.note(r)
	}
	for _, a := range from.Accesses {
		t.add(a, a.Count)
	}
}

// save writes t to name through a temporary file in the same directory. It
// syncs only a final trace to disk.
func save(name string, t trace.Trace, final bool) (err error) {
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	temp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".tmp")
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(temp)
		}
	}()
	_, err = f.Write(append(data, '\n'))
	if err == nil && final {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err := os.Rename(temp, name); err != nil {
		return err
	}
	if !final {
		return nil
	}
	return durable.SyncDir(filepath.Dir(name))
}
