// Package cri is a client of the Container Runtime Interface on a Unix socket:
// calls, streams and container logs. It does not depend on manifests and starts
// no runtime.
package cri

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// maxMessage is the maximum size of a message, in bytes, as in the kubelet.
const maxMessage = 16 << 20

// A Client is a connection to one runtime. Its methods are those of the CRI
// services; their errors name the call and its subject and keep the gRPC
// status, see IsNotFound. It is safe for concurrent use.
type Client struct {
	runtimeapi.RuntimeServiceClient
	runtimeapi.ImageServiceClient

	conn     *grpc.ClientConn
	endpoint string
}

// Dial connects to the runtime at endpoint, "unix:///path" or a path. It calls
// Version, so that it fails unless a CRI v1 runtime answers.
func Dial(ctx context.Context, endpoint string) (*Client, error) {
	path, err := socketPath(endpoint)
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient("passthrough:///"+path,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithAuthority("localhost"),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: retry, MinConnectTimeout: retry.MaxDelay}),
		grpc.WithContextDialer(func(ctx context.Context, path string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithUnaryInterceptor(nameErrors),
	)
	if err != nil {
		return nil, fmt.Errorf("dial runtime %s: %w", endpoint, err)
	}
	c := &Client{
		RuntimeServiceClient: runtimeapi.NewRuntimeServiceClient(conn),
		ImageServiceClient:   runtimeapi.NewImageServiceClient(conn),
		conn:                 conn,
		endpoint:             "unix://" + path,
	}
	if _, err := c.Version(ctx, &runtimeapi.VersionRequest{}); err != nil {
		conn.Close()
		return nil, fmt.Errorf("dial runtime %s: %w", endpoint, err)
	}
	return c, nil
}

// retry is the back-off of reconnects. Its maximum is far below gRPC's default of
// two minutes, because the runtime is on this machine and restarts in seconds.
var retry = backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second}

// Reconnect connects to a runtime that was restarted, without a back-off, and
// returns when it answers.
func (c *Client) Reconnect(ctx context.Context) error {
	c.conn.ResetConnectBackoff()
	_, err := c.Version(ctx, &runtimeapi.VersionRequest{}, grpc.WaitForReady(true))
	return err
}

// Endpoint returns the address of the runtime, "unix:///path".
func (c *Client) Endpoint() string { return c.endpoint }

// Close ends the connection. Containers are not affected.
func (c *Client) Close() error { return c.conn.Close() }

// Ready reports whether the runtime can run containers and its network is ready.
// reason lists the conditions that are not met.
func (c *Client) Ready(ctx context.Context) (ready bool, reason string, err error) {
	resp, err := c.Status(ctx, &runtimeapi.StatusRequest{})
	if err != nil {
		return false, "", err
	}
	met := map[string]bool{}
	var missing []string
	for _, cond := range resp.GetStatus().GetConditions() {
		met[cond.Type] = cond.Status
		if !cond.Status {
			missing = append(missing, fmt.Sprintf("%s: %s %s", cond.Type, cond.Reason, cond.Message))
		}
	}
	if met[runtimeapi.RuntimeReady] && met[runtimeapi.NetworkReady] {
		return true, "", nil
	}
	if len(missing) == 0 {
		missing = append(missing, "the runtime reports no conditions")
	}
	return false, strings.Join(missing, "; "), nil
}

// IsNotFound reports whether err means that the runtime does not have the
// container, sandbox or image that was asked for.
func IsNotFound(err error) bool {
	return status.Code(rootStatus(err)) == codes.NotFound
}

// IsUnavailable reports whether err means that the runtime does not answer: it
// ended, its socket is gone, or it is still starting. err may come from CRI or
// from containerd's own client.
func IsUnavailable(err error) bool {
	if err == nil {
		return false
	}
	// Until containerd has loaded its pods, it returns this error without a
	// specific code.
	return status.Code(rootStatus(err)) == codes.Unavailable || errdefs.IsUnavailable(err) ||
		strings.Contains(status.Convert(rootStatus(err)).Message(), "server is not initialized yet")
}

// socketPath returns the path of a unix socket named by endpoint.
func socketPath(endpoint string) (string, error) {
	path, ok := strings.CutPrefix(endpoint, "unix://")
	if !ok {
		path = strings.TrimPrefix(endpoint, "unix:")
	}
	if !strings.HasPrefix(path, "/") {
		return "", fmt.Errorf("runtime endpoint %q: want unix:///path/of/socket", endpoint)
	}
	return path, nil
}

// nameErrors adds the name of the call and of its subject to errors.
func nameErrors(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := invoke(ctx, method, req, reply, cc, opts...)
	if err == nil {
		return nil
	}
	return &callError{op: method[strings.LastIndexByte(method, '/')+1:], subject: subject(req), err: err}
}

// A callError is a failed call; it unwraps to the gRPC status.
type callError struct {
	op, subject string
	err         error
}

func (e *callError) Error() string {
	message := status.Convert(e.err).Message()
	if e.subject == "" {
		return fmt.Sprintf("%s: %s", e.op, message)
	}
	return fmt.Sprintf("%s %s: %s", e.op, e.subject, message)
}

func (e *callError) Unwrap() error { return e.err }

// GRPCStatus makes status.FromError return the code.
func (e *callError) GRPCStatus() *status.Status { return status.Convert(e.err) }

// Is maps two gRPC codes to the errors of package context, so that callers do not
// need gRPC.
func (e *callError) Is(target error) bool {
	switch status.Code(e.err) {
	case codes.DeadlineExceeded:
		return target == context.DeadlineExceeded
	case codes.Canceled:
		return target == context.Canceled
	}
	return false
}

func rootStatus(err error) error {
	var call *callError
	if errors.As(err, &call) {
		return call.err
	}
	return err
}

// subject returns the subject of a request: a name, or the beginning of an ID.
func subject(req any) string {
	switch r := req.(type) {
	case interface {
		GetConfig() *runtimeapi.PodSandboxConfig
	}:
		m := r.GetConfig().GetMetadata()
		return fmt.Sprintf("%s/%s", m.GetNamespace(), m.GetName())
	case interface {
		GetConfig() *runtimeapi.ContainerConfig
	}:
		return r.GetConfig().GetMetadata().GetName()
	case interface {
		GetImage() *runtimeapi.ImageSpec
	}:
		return r.GetImage().GetImage()
	case interface{ GetContainerId() string }:
		return short(r.GetContainerId())
	case interface{ GetPodSandboxId() string }:
		return short(r.GetPodSandboxId())
	}
	return ""
}

func short(id string) string {
	if len(id) > 12 {
		return id[:12]
	}
	return id
}

// seconds rounds a timeout up to whole seconds, the unit of CRI. Zero means no
// limit and stays zero: rounding down would remove the limit.
func seconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}
