package overlay

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// openTask is a task whose directories are open.
type openTask struct {
	task
	upper       *handle
	lower, want []handle
	isPlain     bool            // lower and want are the same handles
	has         map[string]bool // names in the upper directory
	listed      []string        // the same, sorted
}

func (w *walk) openTask(t task) (*openTask, error) {
	d := &openTask{task: t, isPlain: w.isPlain(t)}
	var err error
	if t.upper != nil {
		if err = w.openUpper(d); err != nil {
			d.close()
			return nil, err
		}
	}
	if d.lower, err = w.openDirs(t.lower); err != nil {
		d.close()
		return nil, err
	}
	d.want = d.lower
	if d.isPlain {
		return d, nil
	}
	if d.want, err = w.openDirs(t.want); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// openUpper opens and lists the upper directory. It takes the stamp before, so that
// a change during the listing is found.
func (w *walk) openUpper(d *openTask) error {
	dirs, err := w.openDirs([]place{*d.task.upper})
	if err != nil {
		return err
	}
	d.upper = &dirs[0]
	s := stamp{path: d.path, place: *d.task.upper}
	if err := unix.Fstat(d.upper.fd, &s.stat); err != nil {
		return fmt.Errorf("look at directory: %w", err)
	}
	w.stamps = append(w.stamps, s)
	if d.listed, err = d.upper.names(); err != nil {
		return err
	}
	slices.Sort(d.listed)
	d.listed = slices.Compact(d.listed)
	d.has = make(map[string]bool, len(d.listed))
	for _, name := range d.listed {
		d.has[name] = true
	}
	return nil
}

// names returns the names that can differ, sorted. In a plain task these are the
// names in the upper directory; otherwise, as after a rename, they are all names.
func (d *openTask) names() ([]string, error) {
	if d.isPlain {
		return d.listed, nil
	}
	all := slices.Clone(d.listed)
	for _, dir := range slices.Concat(d.lower, d.want) {
		names, err := dir.names()
		if err != nil {
			return nil, err
		}
		all = append(all, names...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func (d *openTask) close() {
	if d.upper != nil {
		closeAll([]handle{*d.upper})
	}
	closeAll(d.lower)
	if !d.isPlain {
		closeAll(d.want)
	}
}
