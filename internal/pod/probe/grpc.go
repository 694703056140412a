package probe

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// GRPC calls the health service (grpc.health.v1) without TLS.
type GRPC struct {
	Host    string
	Port    int
	Service string // empty for the server as a whole
}

// Probe implements Handler.
func (g GRPC) Probe(ctx context.Context) Result {
	address := net.JoinHostPort(g.Host, strconv.Itoa(g.Port))
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUserAgent(agent),
		grpc.WithNoProxy(),
	)
	if err != nil {
		return Result{Output: err.Error()}
	}
	defer conn.Close()
	resp, err := health.NewHealthClient(conn).Check(ctx, &health.HealthCheckRequest{Service: g.Service})
	if err != nil {
		return Result{Output: explain(err, address)}
	}
	if resp.Status != health.HealthCheckResponse_SERVING {
		return Result{Output: fmt.Sprintf("service unhealthy (responded with %q)", resp.Status.String())}
	}
	return Result{OK: true, Output: "service healthy"}
}

func explain(err error, address string) string {
	switch st := status.Convert(err); st.Code() {
	case codes.Unimplemented:
		return fmt.Sprintf("error: this server does not implement the grpc health protocol (grpc.health.v1.Health): %s", st.Message())
	case codes.DeadlineExceeded:
		return fmt.Sprintf("timeout: failed to connect service %q within the probe's timeout", address)
	default:
		return fmt.Sprintf("error: health rpc probe failed: %v", err)
	}
}
