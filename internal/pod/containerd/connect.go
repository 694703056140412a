package containerd

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/containerd/containerd/v2/client"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/adamant-sh/adamant/internal/pod/cri"
)

// Connect connects to a runtime that is already running, by its CRI endpoint
// ("unix:///run/containerd/containerd.sock"). It starts and configures nothing.
// If the runtime is containerd, images can be loaded and mounted as in a private
// one; the locks for this are in the directory state.
func Connect(ctx context.Context, endpoint, state string) (*Daemon, error) {
	l, err := newLayout("", state)
	if err != nil {
		return nil, err
	}
	runtime, err := cri.Dial(ctx, endpoint)
	if err != nil {
		return nil, err
	}
	d := &Daemon{cri: runtime, layout: l, network: Network{Masquerade: true, HostPorts: true}}
	if err := d.identify(ctx); err != nil {
		runtime.Close()
		return nil, fmt.Errorf("connect to %s: %w", endpoint, err)
	}
	return d, nil
}

// identify finds out which runtime it is, and connects to it as containerd if it
// is.
func (d *Daemon) identify(ctx context.Context) error {
	version, err := d.cri.Version(ctx, &runtimeapi.VersionRequest{})
	if err != nil {
		return err
	}
	d.systemd = d.asksSystemd(ctx)
	if version.RuntimeName != "containerd" {
		return nil
	}
	info, err := d.cri.ImageFsInfo(ctx, &runtimeapi.ImageFsInfoRequest{})
	if err != nil {
		return err
	}
	// CRI has no call for the snapshotter; its directory contains the name.
	d.snapshotter = "overlayfs"
	for _, fs := range info.ImageFilesystems {
		// "<root>/io.containerd.snapshotter.v1.<name>"
		base := path.Base(fs.GetFsId().GetMountpoint())
		if name, ok := strings.CutPrefix(base, "io.containerd.snapshotter.v1."); ok {
			d.snapshotter = name
		}
	}
	d.client, err = client.New(strings.TrimPrefix(d.cri.Endpoint(), "unix://"), client.WithDefaultNamespace(Namespace))
	return err
}

// asksSystemd reports whether the runtime uses the systemd cgroup driver. Older
// runtimes do not have the call RuntimeConfig; for those it reports the usual
// driver of the machine.
func (d *Daemon) asksSystemd(ctx context.Context) bool {
	resp, err := d.cri.RuntimeConfig(ctx, &runtimeapi.RuntimeConfigRequest{})
	if err != nil || resp.GetLinux() == nil {
		return systemdCgroups()
	}
	return resp.Linux.CgroupDriver == runtimeapi.CgroupDriver_SYSTEMD
}
