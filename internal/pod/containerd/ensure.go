package containerd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
)

// answersWithin is how long a daemon may take to say that it works. One that
// takes longer hangs.
const answersWithin = 10 * time.Second

// Ensure makes sure that the runtime works, and starts a private one again that
// ended or hangs; its pods go on meanwhile. When it returns, d's clients work
// again. One that works costs a single call. Calls may overlap. A runtime that
// was already there is only asked.
func (d *Daemon) Ensure(ctx context.Context) error {
	err := d.check(ctx)
	if err == nil || ctx.Err() != nil || !d.private {
		return err
	}
	again, err := Start(ctx, Options{Root: d.layout.root, State: d.layout.state, Executable: d.executable})
	if err != nil {
		return err
	}
	if err := again.Close(); err != nil {
		return err
	}
	if conn, ok := d.client.Conn().(*grpc.ClientConn); ok {
		conn.ResetConnectBackoff()
	}
	if err := d.cri.Reconnect(ctx); err != nil {
		return fmt.Errorf("connect to containerd again: %w", err)
	}
	return nil
}

// check asks the runtime whether it can run pods.
func (d *Daemon) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answersWithin)
	defer cancel()
	ready, reason, err := d.cri.Ready(ctx)
	if err == nil && !ready {
		err = errors.New("the runtime is not ready: " + reason)
	}
	return err
}
