// Package cluster runs a real Kubernetes node on one machine for tests: etcd,
// the API server, the controller manager, the scheduler, a kubelet and
// containerd 2.4, all the releases' own programs, none of them simulated.
//
// It must be run inside of ./isolate, which gives it a network of its own and
// ends whatever is left when the test ends.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// Addresses of the isolated network; ./isolate sets the node's.
const (
	nodeIP       = "10.77.0.1"
	serviceRange = "10.78.0.0/16"
	podRange     = "10.79.0.0/24"
	apiURL       = "https://" + nodeIP + ":6443"
	nodeName     = "node"
)

// Options configures where a cluster finds its programs.
type Options struct {
	Programs   string   // directory with etcd, kube-* and kubelet, as k8s/build prints it
	Containerd string   // directory with containerd 2.4, as scripts/containerd-2 prints it
	Images     []string // archives to load; pods use them with imagePullPolicy Never
	Pause      string   // name of the image that holds a pod's namespaces, from one of the archives
}

// A Cluster is a node that runs, until Close.
type Cluster struct {
	dir       string
	opts      Options
	api       *api
	processes []*process // in the order in which they started
}

// Start starts a cluster with its files below dir and waits until its node is
// ready. If it fails, the error has the last lines of the log that tells why.
func Start(ctx context.Context, dir string, opts Options) (*Cluster, error) {
	c := &Cluster{dir: dir, opts: opts}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	token, err := c.writeFiles()
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if c.api, err = newAPI(c.path("tls.crt"), token); err != nil {
		return err
	}
	steps := []struct {
		program string
		args    []string
		ready   func(context.Context) error
	}{
		{"etcd", c.etcdArgs(), nil},
		{"containerd", []string{"--config", c.path("containerd.toml")}, c.loadImages},
		{"kube-apiserver", c.apiserverArgs(), c.api.ready},
		{"kube-controller-manager", c.controllerArgs(), nil},
		{"kube-scheduler", c.schedulerArgs(), nil},
		{"kubelet", c.kubeletArgs(), c.nodeReady},
	}
	for _, s := range steps {
		p, err := startProcess(c.program(s.program), c.path(s.program+".log"), c.environment(), s.args...)
		if err != nil {
			return err
		}
		c.processes = append(c.processes, p)
		if s.ready == nil {
			continue
		}
		if err := until(ctx, p, s.ready); err != nil {
			return fmt.Errorf("%s: %w\n%s", s.program, err, p.lastLines())
		}
	}
	return nil
}

// Close removes the pods and ends every process, last started first.
func (c *Cluster) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var errs []error
	if len(c.processes) == 6 {
		errs = append(errs, c.deletePods(ctx))
	}
	for _, p := range slices.Backward(c.processes) {
		errs = append(errs, p.stop())
	}
	c.processes = nil
	removeCgroups()
	return errors.Join(errs...)
}

// removeCgroups removes the cgroup that containerd made for all containers, of
// each hierarchy. One that is in use stays: a cgroup with children cannot be
// removed.
func removeCgroups() {
	for _, pattern := range []string{"/sys/fs/cgroup/k8s.io", "/sys/fs/cgroup/*/k8s.io"} {
		found, _ := filepath.Glob(pattern) // only a bad pattern is an error
		for _, dir := range found {
			syscall.Rmdir(dir)
		}
	}
}

// Kubeconfig is the path of a file by which clients reach the cluster, with all
// rights.
func (c *Cluster) Kubeconfig() string { return c.path("kubeconfig") }

func (c *Cluster) path(name string) string { return filepath.Join(c.dir, name) }

// program finds a program in the two directories that the options name.
func (c *Cluster) program(name string) string {
	if name == "containerd" || name == "ctr" {
		return filepath.Join(c.opts.Containerd, name)
	}
	return filepath.Join(c.opts.Programs, name)
}

// environment lets containerd find its own shim before another release's.
func (c *Cluster) environment() []string {
	return append(os.Environ(), "PATH="+c.opts.Containerd+":"+os.Getenv("PATH"))
}

// until repeats check until it passes, the process ends or ctx does.
func until(ctx context.Context, p *process, check func(context.Context) error) error {
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("ended before it was ready: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
