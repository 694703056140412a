// Package cluster rolls Deployments out in a Kubernetes cluster as internal/workload/rollout
// decides: new pods must prove themselves before old ones go, and a version that
// fails goes back by itself.
//
// It decides nothing and replaces no controller. While a rollout is under way
// the Deployment is paused, so that its controller leaves the ReplicaSets alone,
// and pods are made and removed by scaling those. At the end the Deployment is
// as the manifest has it, and its controller finds nothing left to do: kubectl
// rollout status, history and undo work as ever. Where the traffic goes is left
// to Services, which spread it by pods; shares of traffic are not set.
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

// manager is the field manager of everything that is written.
const manager = "adamant"

// A Cluster is a client of one Kubernetes cluster. It may be used by several
// goroutines at once and needs no closing.
type Cluster struct {
	objects   dynamic.Interface
	kinds     *discovery
	namespace string // of objects that name none

	// For requests that go through the API server to a pod.
	config *rest.Config
	server rest.Interface
	http   *http.Client
}

// Open reads a kubeconfig, the usual ones if path is empty, and returns the
// cluster of a context, of the current one if that is empty. It does not
// connect.
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
	config.QPS, config.Burst = 50, 100 // a rollout looks often, and the server bounds us, too
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
	return &Cluster{objects: objects, kinds: kinds, namespace: namespace, config: config, server: server, http: client}, nil
}

// Options say how Deployments are rolled out.
type Options struct {
	// Drift compares a container's root with its image; the ID is that of a
	// pod's status, "containerd://…". If it is nil nothing is compared: pods
	// that cannot write to their root are clean, all others are in
	// Result.Unchecked, and drift does not fail a rollout.
	Drift func(ctx context.Context, containerID string) (rollout.Drift, error)

	// Event takes what happens to a Deployment, and Report what went wrong and
	// is tried again. Either may be nil.
	Event  func(workload string, e rollout.Event)
	Report func(workload string, err error)

	Timeout  time.Duration // of all; none if 0. What is under way then goes on with Resume
	Interval time.Duration // between two looks; 500 ms if 0
}

// A Result says how the rollout of a Deployment ended.
type Result struct {
	Namespace  string        `json:"namespace"`
	Name       string        `json:"name"`
	Phase      rollout.Phase `json:"phase"` // empty if it was not begun
	Reason     string        `json:"reason,omitempty"`
	Generation int           `json:"generation,omitempty"` // that runs now, as the label adamant.sh/generation of its ReplicaSet has it
	Unchecked  []string      `json:"unchecked,omitempty"`  // pods of which nobody knows whether they drifted
}

// String returns "Deployment shop/web".
func (r Result) String() string { return "Deployment " + r.Namespace + "/" + r.Name }
