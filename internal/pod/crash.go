package pod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/fs/durable"
)

// A Crash is reported when a container that must run ended or could not be started,
// and is started again.
type Crash struct {
	Container string
	Init      bool      // an init container, but no sidecar
	Count     int       // crashes in a row
	RestartAt time.Time // end of the back-off
	Reason    string    // as Kubernetes names it: CrashLoopBackOff, CreateContainerError, ErrImagePull
	Err       error     // an *ExitError if the container ended
}

// A crashRecord is the content of the file crashes/<container>.json: the latest
// crash of a container. It is written before the back-off begins, so that the next
// supervisor continues the back-off if this one is killed.
type crashRecord struct {
	Count   int       `json:"count"`   // crashes in a row
	Attempt uint32    `json:"attempt"` // that ended or could not be started
	Ended   time.Time `json:"ended"`
	Until   time.Time `json:"until"` // end of the back-off
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
}

// An ending is the end of an attempt at a container, or a failure to start one.
type ending struct {
	attempt uint32
	at      time.Time
	ran     time.Duration
	reason  string
	err     error
}

// reasonCrashLoop is the reason of a container that waits after it ended.
const reasonCrashLoop = "CrashLoopBackOff"

// maxCrashMessage bounds the message in a crashRecord, in bytes.
const maxCrashMessage = 4096

// has reports whether a record is about this end of an attempt or a later one.
func (r crashRecord) has(attempt uint32, at time.Time) bool {
	return r.Count > 0 && (r.Attempt > attempt || r.Attempt == attempt && r.Ended.Equal(at))
}

// next returns the record after one more crash.
func (r crashRecord) next(e ending, first time.Duration) crashRecord {
	n := r.Count
	if e.ran > backOffReset {
		n = 0
	}
	message := e.err.Error()
	return crashRecord{
		Count: n + 1, Attempt: e.attempt, Ended: e.at, Until: e.at.Add(backOff(first, n)),
		Reason: e.reason, Message: strings.ToValidUTF8(message[:min(len(message), maxCrashMessage)], ""),
	}
}

func (l layout) crashes(container string) string {
	return filepath.Join(l.Dir, "crashes", container+".json")
}

// readCrash returns a container's record. It returns the zero record if there is
// none or it is damaged: the container is then restarted as after its first crash.
func (l layout) readCrash(container string) crashRecord {
	var r crashRecord
	data, err := os.ReadFile(l.crashes(container))
	if err != nil || json.Unmarshal(data, &r) != nil {
		return crashRecord{}
	}
	return r
}

func (l layout) writeCrash(container string, r crashRecord) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	path := l.crashes(container)
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return durable.WriteFile(path, data, 0o600)
}

// removeCrashes forgets the crashes in an earlier sandbox.
func (l layout) removeCrashes() error { return os.RemoveAll(filepath.Dir(l.crashes("x"))) }

// A startError is returned when a container could not be started.
type startError struct {
	reason string // as Kubernetes names it
	err    error
}

func (e *startError) Error() string { return e.err.Error() }
func (e *startError) Unwrap() error { return e.err }

// startReason returns the reason of a container that waits because of err.
func startReason(err error) string {
	var start *startError
	if errors.As(err, &start) {
		return start.reason
	}
	return "CreateContainerError"
}

// recordCrash counts a crash, and returns the record with the end of its back-off.
func (w *worker) recordCrash(ctr *corev1.Container, before crashRecord, e ending) crashRecord {
	if before.has(e.attempt, e.at) {
		return before // by a supervisor that was killed during the back-off
	}
	rec := before.next(e, w.firstBackOff())
	if err := w.l.writeCrash(ctr.Name, rec); err != nil && !w.l.isStopping() {
		// The back-off itself needs no disk, which may be full.
		w.eventf(ctr.Name, "Failed", "crash of container %s is not recorded: %v", ctr.Name, err)
	}
	w.eventf(ctr.Name, "BackOff", "%v; starting it again in %s", e.err, rec.Until.Sub(rec.Ended))
	return rec
}

// waitBackOff waits until a container may be restarted. It returns errStopping if
// the pod is stopped or removed meanwhile.
func (w *worker) waitBackOff(ctx context.Context, ctr *corev1.Container, rec crashRecord, end *ending) error {
	why := errors.New(rec.Message)
	if end != nil {
		why = end.err
	}
	w.starting.crashed(Crash{
		Container: ctr.Name, Init: isSetup(&w.rec.Spec, ctr), Count: rec.Count, RestartAt: rec.Until, Reason: rec.Reason, Err: why,
	})
	w.e.opts.step(fmt.Sprintf("back-off %s %d", ctr.Name, rec.Count))
	// The clock may have been set back.
	until := time.Now().Add(min(time.Until(rec.Until), backOffMax))
	for {
		if w.l.isStopping() {
			return errStopping
		}
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		if err := clock.Sleep(ctx, min(left, stoppingPoll)); err != nil {
			return err
		}
	}
}

// firstBackOff returns the delay after a second crash.
func (w *worker) firstBackOff() time.Duration {
	d, _ := w.rec.Spec.RestartBackOff() // checked when the pod was created
	return d
}
