package pod

import (
	"context"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/pod/cri"
)

// The delays between calls of a runtime that does not answer.
const (
	retryMin = 20 * time.Millisecond
	retryMax = 2 * time.Second
)

// retryUnavailable repeats call while the runtime does not answer, so that the
// supervision of a pod survives a restart of the runtime.
func retryUnavailable(ctx context.Context, call func() error) error {
	for wait := retryMin; ; wait = min(wait*2, retryMax) {
		err := call()
		if !cri.IsUnavailable(err) {
			return err
		}
		if err := clock.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}
