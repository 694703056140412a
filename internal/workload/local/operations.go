package local

import (
	"errors"
	"fmt"
	"time"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// maxReplicas is the largest number of instances of a workload. The network of the pods
// has 253 addresses.
const maxReplicas = 250

func checkReplicas(n int) error {
	if n > maxReplicas {
		return fmt.Errorf("%d replicas: at most %d of a workload run on one machine", n, maxReplicas)
	}
	return nil
}

// Scale sets the number of a workload's instances until the next apply.
func (c *Controller) Scale(key Key, replicas int, by Author) error {
	if replicas < 0 {
		return fmt.Errorf("replicas %d: want 0 or more", replicas)
	}
	if err := checkReplicas(replicas); err != nil {
		return err
	}
	return c.updateRecord(key, func(t tx, r *record) error {
		if r.Job != nil {
			return fmt.Errorf("%s: a Job has no replicas: change parallelism in its manifest and apply it", key)
		}
		if r.Cron != nil {
			return fmt.Errorf("%s: a CronJob has no replicas: change its manifest and apply it", key)
		}
		if replicas > 1 && isExclusive(&r.Declared.Spec) {
			return fmt.Errorf("%d replicas cannot share one host port or the host network", replicas)
		}
		if last := r.Spec.LastOrdinal(replicas); last >= 0 && len(ordinalName(key, last)) > maxHostname {
			return fmt.Errorf("the name of pod %s would be longer than %d bytes, and cannot be its host name", ordinalName(key, last), maxHostname)
		}
		if r.Spec.Replicas == replicas {
			return nil
		}
		before := r.Spec.Replicas
		// Instances that were stopped for drift are withheld until the next
		// apply or scale.
		r.Spec.Replicas, r.State.Withheld = replicas, 0
		return addEvent(t, key, "Scaled", fmt.Sprintf("from %d to %d instances, by %s", before, replicas, by))
	})
}

// Pause holds a rollout where it is. Resume continues it.
func (c *Controller) Pause(key Key, by Author) error {
	return c.updateRecord(key, func(t tx, r *record) error {
		if r.Job != nil && r.State.Phase.Ended() {
			return fmt.Errorf("%s has ended: there is nothing to suspend", key)
		}
		r.State.Paused = true
		return addEvent(t, key, "Paused", "by "+by.String())
	})
}

// Resume ends the pause of a canary, of a blue/green rollout, or one by a user.
func (c *Controller) Resume(key Key, by Author) error {
	return c.updateRecord(key, func(t tx, r *record) error {
		r.State = r.State.Resume(time.Now().UTC())
		return addEvent(t, key, "Resumed", "by "+by.String())
	})
}

// ErrNoPreviousGeneration is returned when there is no generation to roll back to.
var ErrNoPreviousGeneration = errors.New("there is no earlier generation that completed its rollout")

// Undo rolls back to a generation: to the given one or, if that is 0, to the
// last that completed its rollout before the current one. It never chooses one
// that was aborted. It returns the generation that is rolled out.
func (c *Controller) Undo(key Key, to int, by Author) (int, error) {
	now := time.Now().UTC()
	err := c.updateRecord(key, func(t tx, r *record) error {
		if r.Job != nil {
			return fmt.Errorf("%s: a Job is not rolled back: what it did is done; apply the manifest of what is to run", key)
		}
		if to == 0 {
			var err error
			if to, err = previousGood(t, *r); err != nil {
				return err
			}
		}
		if _, ok, err := get[Generation](t, "generations", numberedKey(key, to)); err != nil || !ok {
			return errors.Join(err, fmt.Errorf("%s has no generation %d; adamant rollout history lists them", key, to))
		}
		switch {
		case r.State.Target == to && (r.State.Phase == rollout.Complete || r.State.Phase == rollout.RolledBack):
			return fmt.Errorf("%s runs generation %d already", key, to)
		case r.State.Target == to && !r.State.Phase.Ended():
			return fmt.Errorf("%s is moving to generation %d already", key, to)
		}
		r.State = r.State.Begin(to, now)
		_, err := beginAttempt(t, key, Attempt{Generation: to, By: by, Cause: "undo", Began: now, Outcome: rollout.Progressing})
		return err
	})
	if err == nil {
		c.startOrNotify(key, true, to)
	}
	return to, err
}

// previousGood returns the generation that Undo chooses.
func previousGood(t tx, r record) (int, error) {
	// During a rollout the stable generation is the last that completed one.
	if !r.State.Phase.Ended() && r.State.Stable != 0 && r.State.Stable != r.State.Target {
		return r.State.Stable, nil
	}
	attempts, err := all[Attempt](t, "attempts", keyPrefix(r.Key))
	if err != nil {
		return 0, err
	}
	for i := len(attempts) - 1; i >= 0; i-- {
		a := attempts[i]
		_, there, err := get[Generation](t, "generations", numberedKey(r.Key, a.Generation))
		if err != nil {
			return 0, err
		}
		if there && a.Outcome == rollout.Complete && a.Generation != r.State.Target {
			return a.Generation, nil
		}
	}
	return 0, fmt.Errorf("%s: %w", r.Key, ErrNoPreviousGeneration)
}

// Delete removes a workload with all its instances; its history stays. The deletion
// is stored first, so that the next process continues it if this one is killed.
func (c *Controller) Delete(key Key, by Author) error {
	err := c.updateRecord(key, func(t tx, r *record) error {
		r.Deleting = true
		why := "deleted by " + by.String()
		return errors.Join(overtakeAttempt(t, key, time.Now().UTC(), why), addEvent(t, key, "Deleted", why))
	})
	if w := c.workload(key); err == nil && w != nil {
		if key.Kind != "CronJob" { // which is there until its Jobs are gone
			w.setDeleting()
		}
		w.notify()
	}
	return err
}

// DeleteObject removes a Service, Ingress, ConfigMap or Secret.
func (c *Controller) DeleteObject(kind, namespace, name string) error {
	bucket, ok := map[string]string{"Service": "services", "ConfigMap": "configmaps", "Secret": "secrets", "Ingress": "ingresses"}[kind]
	if !ok {
		return fmt.Errorf("%w: %s %s/%s", ErrNotFound, kind, namespace, name)
	}
	c.applying.Lock()
	defer c.applying.Unlock()
	err := c.store.update(func(t tx) error {
		key := namespace + "/" + name
		if t.Bucket([]byte(bucket)).Get([]byte(key)) == nil {
			return fmt.Errorf("%w: %s %s", ErrNotFound, kind, key)
		}
		if kind == "Secret" {
			if err := checkUnused(t, namespace, name); err != nil {
				return err
			}
		}
		return remove(t, bucket, key)
	})
	if err != nil || kind == "ConfigMap" {
		return err
	}
	return c.openServices()
}

// updateRecord changes the record of a workload in one transaction and wakes
// the workload.
func (c *Controller) updateRecord(key Key, change func(tx, *record) error) error {
	c.applying.Lock()
	defer c.applying.Unlock()
	err := c.store.update(func(t tx) error {
		r, ok, err := get[record](t, "workloads", key.String())
		if err == nil && !ok {
			err = fmt.Errorf("%w: %s", ErrNotFound, key)
		}
		if err == nil && r.Deleting {
			err = fmt.Errorf("%s: %w", key, ErrDeleting)
		}
		if err == nil {
			err = change(t, &r)
		}
		if err != nil {
			return err
		}
		return put(t, "workloads", key.String(), r)
	})
	if w := c.workload(key); w != nil {
		w.notify()
	}
	return err
}
