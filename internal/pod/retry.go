package pod

import (
	"context"
	"time"

	"github.com/adamant-sh/adamant/internal/clock"
	"github.com/adamant-sh/adamant/internal/pod/cri"
)

// The waits for a runtime that does not answer.
const (
	retryMin = 20 * time.Millisecond
	retryMax = 2 * time.Second
)

// retryUnavailable calls the runtime, again and again while it does not answer,
// so that a supervised pod survives a restart of the runtime.
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
