package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/adamant-sh/adamant/bench/docker"
	"github.com/adamant-sh/adamant/test/appimage"
	"github.com/adamant-sh/adamant/test/cluster"
)

const clusterName = "Kubernetes, a cluster of one node"

// startPeers starts the installed peers, and prints which are left out and why.
// The ways that it returns with an error must be closed, too.
func startPeers(ctx context.Context, dir string) (ways []*way, left []string, err error) {
	for _, peer := range []struct {
		name, missing string
		start         func(context.Context, string) (*way, error)
	}{
		{clusterName, whyNoCluster(), startCluster},
		{"docker-compose up", whyNoCompose(), startCompose},
	} {
		if peer.missing != "" {
			left = append(left, peer.name+": "+peer.missing)
			continue
		}
		w, err := peer.start(ctx, dir)
		if err != nil {
			return ways, left, fmt.Errorf("%s: %w", peer.name, err)
		}
		w.name = peer.name
		ways = append(ways, w)
	}
	return ways, left, nil
}

func whyNoCluster() string {
	if os.Getenv("ADAMANT_CLUSTER_BIN") == "" || os.Getenv("ADAMANT_CLUSTER_CONTAINERD") == "" {
		return "its programs are not built, see bench/run"
	}
	return ""
}

func startCluster(ctx context.Context, dir string) (*way, error) {
	images := []string{filepath.Join(dir, "pause.tar")}
	for _, v := range versions {
		images = append(images, archive(dir, v))
	}
	dir = filepath.Join(dir, "cluster")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	c, err := cluster.Start(ctx, dir, cluster.Options{
		Programs: os.Getenv("ADAMANT_CLUSTER_BIN"), Containerd: os.Getenv("ADAMANT_CLUSTER_CONTAINERD"),
		Images: images, Pause: appimage.Reference("pause"),
	})
	if err != nil {
		return nil, err
	}
	d, err := dialCluster(c.Kubeconfig())
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &way{
		roll: func(ctx context.Context, version string) error {
			if err := d.apply(ctx, manifest(version, replicas, period)); err != nil {
				return err
			}
			return until(ctx, "the rollout is complete", d.isRolledOut)
		},
		settle: func(ctx context.Context) error { return until(ctx, "the old pods are gone", d.isSettled) },
		close: func() error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			return errors.Join(d.remove(ctx), c.Close()) // Close would wait for pods that come again
		},
	}, nil
}

func whyNoCompose() string {
	if _, err := exec.LookPath("docker-compose"); err != nil {
		return "docker-compose is not installed"
	}
	return ""
}

const composition = `services:
  web:
    image: %s
    network_mode: none
    stop_grace_period: 5s
`

// startCompose starts a dockerd and loads the images. Its containers have no
// network, which is less work than the other ways do.
func startCompose(ctx context.Context, dir string) (*way, error) {
	state := filepath.Join(dir, "docker")
	if err := os.Mkdir(state, 0o755); err != nil {
		return nil, err
	}
	dockerd, err := filepath.EvalSymlinks(filepath.Join(dir, "dockerd"))
	if err != nil {
		return nil, err
	}
	d, err := docker.Start(ctx, state, dockerd)
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		if err := importImage(ctx, d, v, rootOf(dir, v)); err != nil {
			d.Stop()
			return nil, err
		}
	}
	file := filepath.Join(state, "compose.yaml")
	return &way{
		roll: func(ctx context.Context, version string) error {
			text := fmt.Appendf(nil, composition, appimage.Reference("web-"+version))
			if err := os.WriteFile(file, text, 0o600); err != nil {
				return err
			}
			return command(ctx, []string{"DOCKER_HOST=" + d.Host(), "COMPOSE_HTTP_TIMEOUT=300"},
				"docker-compose", "-p", "bench", "-f", file, "up", "-d", "--scale", "web="+strconv.Itoa(replicas))
		},
		settle: func(context.Context) error { return nil },
		close:  d.Stop,
	}, nil
}

// importImage creates an image from a directory.
func importImage(ctx context.Context, d *docker.Daemon, version, root string) error {
	tar := exec.CommandContext(ctx, "tar", "-C", root, "-c", ".")
	out, err := tar.StdoutPipe()
	if err != nil {
		return err
	}
	if err := tar.Start(); err != nil {
		return err
	}
	q := url.Values{"fromSrc": {"-"}, "repo": {"adamant.test/web-" + version}, "tag": {"1"}, "changes": {`CMD ["/web"]`}}
	err = d.Call(ctx, http.MethodPost, "/images/create?"+q.Encode(), out, nil)
	if e := tar.Wait(); err == nil {
		err = e
	}
	return err
}
