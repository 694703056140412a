package translate

import (
	"fmt"
	"time"
)

// AnnotationRestartBackOff is an annotation of a pod: how long its containers wait
// after their second crash in a row, such as "1s". The time doubles with each
// further crash. A kubelet waits 10s, which is the default.
const AnnotationRestartBackOff = "adamant.sh/restart-backoff"

// The bounds of the back-off: containers that crash at once must not occupy the
// machine.
const (
	defaultBackOff = 10 * time.Second
	minBackOff     = 100 * time.Millisecond
	maxBackOff     = 5 * time.Minute
)

// RestartBackOff returns the first back-off of the pod's containers.
func (s *PodSpec) RestartBackOff() (time.Duration, error) {
	value, ok := s.Annotations[AnnotationRestartBackOff]
	if !ok {
		return defaultBackOff, nil
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < minBackOff || d > maxBackOff {
		return defaultBackOff, fmt.Errorf("annotation %s: %q: want a duration from %s to %s", AnnotationRestartBackOff, value, minBackOff, maxBackOff)
	}
	return d, nil
}
