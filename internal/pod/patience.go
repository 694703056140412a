package pod

import (
	"context"
	"time"

	"github.com/adamant-sh/adamant/internal/pod/cri"
)

// The waits for a runtime that does not answer.
const (
	patienceMin = 20 * time.Millisecond
	patienceMax = 2 * time.Second
)

// patiently calls the runtime where the pod's supervisor does; others get the
// error the first time.
func (c *care) patiently(ctx context.Context, call func() error) error {
	if !c.patient {
		return call()
	}
	return patiently(ctx, call)
}

// patiently calls the runtime, again and again as long as that does not answer:
// whoever supervises a pod does not lose it when the runtime is started anew.
func patiently(ctx context.Context, call func() error) error {
	for wait := patienceMin; ; wait = min(wait*2, patienceMax) {
		err := call()
		if !cri.IsUnavailable(err) {
			return err
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}
