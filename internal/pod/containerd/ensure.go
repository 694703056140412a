package containerd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
)

// answersWithin is the timeout of one call. A daemon that does not answer in
// this time is taken to hang.
const answersWithin = 10 * time.Second

// Ensure checks that the runtime works, which takes one call. It restarts a
// private containerd that ended or hangs; its pods keep running. When it returns
// nil, the clients of d work again. Another runtime is checked but never
// restarted. Ensure is safe for concurrent use.
func (d *Daemon) Ensure(ctx context.Context) error {
	err := d.check(ctx)
	if err == nil {
		return d.keepServices() // other programs may have removed the route
	}
	if ctx.Err() != nil || !d.private {
		return err
	}
	again, err := Start(ctx, Options{Root: d.layout.root, State: d.layout.state, Executable: d.executable})
	if err != nil {
		return err
	}
	if err := again.Close(); err != nil {
		return err
	}
	// After failed attempts gRPC delays the next one; reconnect without a delay.
	if conn, ok := d.client.Conn().(*grpc.ClientConn); ok {
		conn.ResetConnectBackoff()
	}
	if err := d.cri.Reconnect(ctx); err != nil {
		return fmt.Errorf("connect to containerd again: %w", err)
	}
	return nil
}

// check returns an error if the runtime cannot run pods.
func (d *Daemon) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answersWithin)
	defer cancel()
	ready, reason, err := d.cri.Ready(ctx)
	if err == nil && !ready {
		err = errors.New("the runtime is not ready: " + reason)
	}
	return err
}
