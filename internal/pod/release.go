package pod

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/adamant-sh/adamant/internal/fs/durable"
)

// Release makes an ephemeral pod of this process one that outlives it. If the process
// is killed meanwhile, the pod is still ephemeral.
func (p *Pod) Release() error {
	l := newLayout(p.e.opts.Root, p.UID)
	rec := *p.rec
	rec.Spec.Ephemeral = false
	data, err := rec.encode()
	if err == nil {
		err = durable.WriteFile(l.record(), data, 0o600)
	}
	// The owner's lock is held until its file is gone: Recover in another process
	// would remove the pod otherwise.
	if err == nil {
		err = os.Remove(l.owner())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("release pod %s: %w", p.Name, err)
	}
	if p.owner != nil {
		p.owner.release()
	}
	p.rec, p.owner = &rec, nil
	return nil
}

// Unsupervised returns the pods that run, belong to no process and are supervised by
// none. It passes over those that skip selects.
func (e *Engine) Unsupervised(ctx context.Context, skip func(uid string, spec *PodSpec) bool) ([]*Pod, error) {
	uids, err := podUIDs(e.opts.Root)
	if err != nil {
		return nil, err
	}
	var pods []*Pod
	for _, uid := range uids {
		l := newLayout(e.opts.Root, uid)
		if l.isStopping() || exists(l.owner()) {
			continue
		}
		if locked, err := durable.IsLocked(l.supervisor()); locked || err != nil && !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		rec, err := readRecord(l)
		if err != nil || skip(uid, &rec.Spec) {
			continue // a damaged record is reported when pods are listed
		}
		p, err := e.pod(ctx, rec)
		if err != nil {
			return nil, err
		}
		if p.Phase == Running || p.Phase == Lost {
			pods = append(pods, p)
		}
	}
	return pods, nil
}
