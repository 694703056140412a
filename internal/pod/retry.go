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

// retryUnavailable calls the runtime, again and again as long as that does not answer:
// whoever supervises a pod does not lose it when the runtime is started anew.
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
