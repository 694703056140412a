package pod

import "time"

// The kubelet's waits before a container that ended is started again.
const (
	backOffFirst = 10 * time.Second
	backOffMax   = 5 * time.Minute
	// backOffReset is how long a container must have run for its next crash to
	// count as the first.
	backOffReset = 2 * backOffMax
)

// backOff is how long to wait after the crash that follows n restarts in a
// row: the first restart comes at once, then 10 s, 20 s, up to 5 minutes.
func backOff(n int) time.Duration {
	if n == 0 {
		return 0
	}
	d := backOffFirst
	for range n - 1 {
		if d >= backOffMax {
			break
		}
		d *= 2
	}
	return min(d, backOffMax)
}
