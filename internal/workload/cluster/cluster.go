// Package cluster rolls out Deployments in a Kubernetes cluster as
// internal/workload/rollout decides: a new version is tried before it replaces the
// old one, and is rolled back if it fails.
//
// It replaces no controller and works by native means only: a Deployment always has
// its own strategy, and its own controller creates and removes the pods. A canary, a
// blue/green rollout and the first gate run as a second Deployment, the trial, which
// can be deleted at any time. So a client that dies leaves nothing that does harm,
// and kubectl rollout status, history, pause, resume and undo work as usual.
// Services split the traffic by the number of pods; shares of traffic are not set.
package cluster

import (
	"context"
	"fmt"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/adamant-sh/adamant/internal/workload/rollout"
)

// A Cluster is a client of one Kubernetes cluster. It is safe for concurrent
// use and needs no Close.
type Cluster struct {
	objects   dynamic.Interface
	kinds     *discovery
	namespace string // of objects without one
	warnings  *warnings

	// For requests that go through the API server to a pod.
	config *rest.Config
	server rest.Interface
	http   *http.Client
}

// Use sets the namespace of objects without one, which is that of the context. It must
// be called before c is used.
func (c *Cluster) Use(namespace string) { c.namespace = namespace }

// Open reads a kubeconfig, by default the usual ones, and returns the cluster
// of a context, by default the current one. It does not connect.
func Open(kubeconfig, context string) (*Cluster, error) {
	files := clientcmd.NewDefaultClientConfigLoadingRules()
	files.ExplicitPath = kubeconfig
	config := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(files, &clientcmd.ConfigOverrides{CurrentContext: context})
	namespace, _, err := config.Namespace()
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	client, err := config.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	return connect(client, namespace)
}

func connect(config *rest.Config, namespace string) (*Cluster, error) {
	config.QPS, config.Burst = 50, 100 // a rollout polls; client-go's default is 5 per second, and the server has limits of its own
	warnings := &warnings{seen: map[string]bool{}}
	config.WarningHandler = warnings
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	objects, err := dynamic.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, err
	}
	server, err := rest.UnversionedRESTClientForConfigAndClient(dynamic.ConfigFor(config), client)
	if err != nil {
		return nil, err
	}
	kinds := &discovery{server: server, known: map[schema.GroupVersionKind]*metav1.APIResource{}}
	return &Cluster{objects: objects, kinds: kinds, namespace: namespace, warnings: warnings, config: config, server: server, http: client}, nil
}

// Options configures rollouts.
type Options struct {
	// Drift compares a container's root with its image. The ID is that of a
	// pod's status, "containerd://…". If it is nil, pods with read-only roots
	// are clean, all others are listed in Result.Unchecked, and drift does not
	// fail a rollout.
	Drift func(ctx context.Context, containerID string) (rollout.Drift, error)

	// Event receives the events of a Deployment, Progress receives its status when
	// that has changed, Report receives errors after which the rollout tries again,
	// and Warn receives warnings of the API server, each once. All may be nil.
	Event    func(workload string, e rollout.Event)
	Progress func(Status)
	Report   func(workload string, err error)
	Warn     func(text string)

	Force    bool          // take over fields that others manage
	Timeout  time.Duration // of the whole call, no limit if 0; Resume continues a rollout after it
	Interval time.Duration // between two observations; 500 ms if 0
}

// A Result is how the rollout of a Deployment ended.
type Result struct {
	Namespace  string        `json:"namespace"`
	Name       string        `json:"name"`
	Phase      rollout.Phase `json:"phase"` // empty if it was not started, Overtaken if another version replaced it first
	Reason     string        `json:"reason,omitempty"`
	Generation int           `json:"generation,omitempty"` // the first revision of its ReplicaSet
	Paused     bool          `json:"paused,omitempty"`     // by its manifest: nothing is replaced
	Unchecked  []string      `json:"unchecked,omitempty"`  // pods that may have drifted and were not compared
}

// Overtaken is the phase of a rollout that did not end because another one began, by
// another apply or by another client.
const Overtaken rollout.Phase = "Overtaken"

// String returns "Deployment shop/web".
func (r Result) String() string { return "Deployment " + r.Namespace + "/" + r.Name }
