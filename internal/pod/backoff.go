package pod

import "time"

// The kubelet's delays before a container that ended is restarted.
const (
	backOffFirst = 10 * time.Second
	backOffMax   = 5 * time.Minute
	// backOffReset is the run time after which the next crash of a container
	// counts as its first.
	backOffReset = 2 * backOffMax
)

// backOff returns the delay after a crash that follows n restarts in a row. The
// first restart is immediate; then the delay is 10 s, 20 s, up to 5 minutes.
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
