package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"sigs.k8s.io/yaml"
)

// An api is a client of the API server that uses plain HTTP and JSON.
type api struct {
	client *http.Client
	url    string
	token  string
}

func newAPI(url, certificate, token string) (*api, error) {
	pem, err := os.ReadFile(certificate)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", certificate)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	return &api{client: &http.Client{Transport: transport}, url: url, token: token}, nil
}

// call sends one request and returns the body of the response. A status other
// than 2xx is an error with the server's reason.
func (a *api) call(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	data, _, err := a.send(ctx, method, path, "application/json", body)
	return data, err
}

// send is call for a body of any type. It also returns the warnings of the response.
func (a *api) send(ctx context.Context, method, path, contentType string, body []byte) (data []byte, warnings []string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, a.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Content-Type", contentType)
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	data, err = io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, err
	}
	if resp.StatusCode/100 != 2 {
		return nil, nil, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, bytes.TrimSpace(data))
	}
	headers, errs := utilnet.ParseWarningHeaders(resp.Header["Warning"])
	for _, h := range headers {
		warnings = append(warnings, h.Text)
	}
	return data, warnings, errors.Join(errs...)
}

func (a *api) get(ctx context.Context, path string, into any) error {
	data, err := a.call(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// ready returns nil once the API server answers requests.
func (a *api) ready(ctx context.Context) error {
	_, err := a.call(ctx, http.MethodGet, "/readyz", nil)
	return err
}

const (
	namespace = "/api/v1/namespaces/default/"
	rbacPath  = "/apis/rbac.authorization.k8s.io/v1"
)

// resources maps the kinds that Create supports to the path of their group and
// their path segment.
var resources = map[string]struct{ group, plural string }{
	"Pod": {"/api/v1", "pods"}, "ConfigMap": {"/api/v1", "configmaps"}, "Secret": {"/api/v1", "secrets"},
	"Service": {"/api/v1", "services"}, "ReplicationController": {"/api/v1", "replicationcontrollers"},
	"Deployment": {"/apis/apps/v1", "deployments"}, "StatefulSet": {"/apis/apps/v1", "statefulsets"},
	"DaemonSet": {"/apis/apps/v1", "daemonsets"}, "ReplicaSet": {"/apis/apps/v1", "replicasets"},
	"Job": {"/apis/batch/v1", "jobs"}, "CronJob": {"/apis/batch/v1", "cronjobs"},
	"PodTemplate": {"/api/v1", "podtemplates"}, "Role": {rbacPath, "roles"}, "RoleBinding": {rbacPath, "rolebindings"},
	"ClusterRole": {rbacPath, "clusterroles"}, "ClusterRoleBinding": {rbacPath, "clusterrolebindings"},
}

// Create creates one object from a YAML document, in the namespace default.
func (c *Cluster) Create(ctx context.Context, document []byte) error {
	return c.createIn(ctx, namespace, document, "")
}

// Admit returns the API server's error for an object that it would not create in
// the namespace default. It creates nothing.
func (c *Cluster) Admit(ctx context.Context, document []byte) error {
	return c.createIn(ctx, namespace, document, "?dryRun=All&fieldValidation=Strict")
}

func (c *Cluster) createIn(ctx context.Context, namespace string, document []byte, query string) error {
	data, err := yaml.YAMLToJSON(document)
	if err != nil {
		return err
	}
	var kind struct{ Kind string }
	if err := json.Unmarshal(data, &kind); err != nil {
		return err
	}
	r, ok := resources[kind.Kind]
	if !ok {
		return fmt.Errorf("create: unknown kind %q", kind.Kind)
	}
	_, err = c.api.call(ctx, http.MethodPost, r.group+strings.TrimPrefix(namespace, "/api/v1")+r.plural+query, data)
	return err
}

// An enforced is a namespace that enforces a level of Pod Security.
type enforced struct {
	cluster *Cluster
	path    string
}

// Enforce creates a namespace that enforces a level of Pod Security, and waits for
// the service account of its pods.
func (c *Cluster) Enforce(ctx context.Context, name, level string) (*enforced, error) {
	text := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": %q, "labels": {"pod-security.kubernetes.io/enforce": %q}}}`, name, level)
	if _, err := c.api.call(ctx, http.MethodPost, "/api/v1/namespaces", []byte(text)); err != nil {
		return nil, err
	}
	n := &enforced{c, "/api/v1/namespaces/" + name + "/"}
	for {
		_, err := c.api.call(ctx, http.MethodGet, n.path+"serviceaccounts/default", nil)
		if err == nil {
			return n, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Create creates one object in the namespace.
func (n *enforced) Create(ctx context.Context, document []byte) error {
	return n.cluster.createIn(ctx, n.path, document, "")
}

// Ready waits until a pod is ready.
func (n *enforced) Ready(ctx context.Context, pod string) error {
	for {
		var p struct {
			podStatus
			Status struct {
				Phase      string
				Conditions []struct{ Type, Status string }
			}
		}
		if err := n.cluster.api.get(ctx, n.path+"pods/"+pod, &p); err != nil {
			return err
		}
		for _, condition := range p.Status.Conditions {
			if condition.Type == "Ready" && condition.Status == "True" {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			var all podStatus
			_ = n.cluster.api.get(context.WithoutCancel(ctx), n.path+"pods/"+pod, &all) // for the message
			return fmt.Errorf("pod %s is not ready: %s: %w", pod, stateOf(all), ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// DeletePods removes the pods of the namespace and waits until they are gone.
func (n *enforced) DeletePods(ctx context.Context) error {
	return n.cluster.deletePodsIn(ctx, n.path)
}

// A podStatus holds the fields of a pod that tests use.
type podStatus struct {
	Metadata struct{ Name string }
	Status   struct {
		Phase             string
		ContainerStatuses []struct {
			Name  string
			State json.RawMessage
		}
		InitContainerStatuses []struct {
			Name  string
			State json.RawMessage
		}
	}
}

// Finished waits until all containers of a pod have ended successfully.
func (c *Cluster) Finished(ctx context.Context, pod string) error {
	for {
		var p podStatus
		if err := c.api.get(ctx, namespace+"pods/"+pod, &p); err != nil {
			return err
		}
		switch p.Status.Phase {
		case "Succeeded":
			return nil
		case "Failed":
			return fmt.Errorf("pod %s failed: %s", pod, stateOf(p))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("pod %s is %s: %s: %w", pod, p.Status.Phase, stateOf(p), ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func stateOf(p podStatus) string {
	text, err := json.Marshal(p.Status)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Log returns the output of a pod's container.
func (c *Cluster) Log(ctx context.Context, pod, container string) ([]byte, error) {
	return c.api.call(ctx, http.MethodGet, namespace+"pods/"+pod+"/log?container="+container, nil)
}

// deletePods removes all pods and waits until they are gone.
func (c *Cluster) deletePods(ctx context.Context) error { return c.deletePodsIn(ctx, namespace) }

func (c *Cluster) deletePodsIn(ctx context.Context, namespace string) error {
	if _, err := c.api.call(ctx, http.MethodDelete, namespace+"pods", []byte(`{"gracePeriodSeconds": 1}`)); err != nil {
		return fmt.Errorf("delete pods: %w", err)
	}
	for {
		var list struct{ Items []podStatus }
		if err := c.api.get(ctx, namespace+"pods", &list); err != nil {
			return fmt.Errorf("wait for the end of pods: %w", err)
		}
		if len(list.Items) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("pod %s does not end: %w", list.Items[0].Metadata.Name, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// nodeReady returns nil once the node accepts pods and the service account of
// pods exists.
func (c *Cluster) nodeReady(ctx context.Context) error {
	var node struct {
		Spec   struct{ Taints []struct{ Key string } }
		Status struct {
			Conditions []struct{ Type, Status, Message string }
		}
	}
	if err := c.api.get(ctx, "/api/v1/nodes/"+nodeName, &node); err != nil {
		return err
	}
	ready := errors.New("the node has no condition Ready")
	for _, condition := range node.Status.Conditions {
		if condition.Type == "Ready" && condition.Status == "True" {
			ready = nil
		} else if condition.Type == "Ready" {
			ready = errors.New(condition.Message)
		}
	}
	if ready != nil {
		return ready
	}
	if len(node.Spec.Taints) > 0 {
		return fmt.Errorf("the node is tainted: %v", node.Spec.Taints)
	}
	_, err := c.api.call(ctx, http.MethodGet, namespace+"serviceaccounts/default", nil)
	return err
}

// loadImages loads the archives into the kubelet's containerd.
func (c *Cluster) loadImages(ctx context.Context) error {
	for _, archive := range c.opts.Images {
		if err := c.Load(ctx, archive); err != nil {
			return err
		}
	}
	return nil
}

// Load loads an archive into the kubelet's containerd.
func (c *Cluster) Load(ctx context.Context, archive string) error {
	cmd := exec.CommandContext(ctx, c.program("ctr"), "--address", c.path("containerd.sock"), "--namespace", "k8s.io",
		"images", "import", "--local", archive)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("load %s: %w: %s", archive, err, out)
	}
	return nil
}

// Remove removes an image from the kubelet's containerd, with its content and
// snapshots.
func (c *Cluster) Remove(ctx context.Context, ref string) error {
	conn, err := grpc.NewClient("unix://"+c.path("containerd.sock"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = runtimeapi.NewImageServiceClient(conn).RemoveImage(ctx, &runtimeapi.RemoveImageRequest{Image: &runtimeapi.ImageSpec{Image: ref}})
	if err != nil {
		return fmt.Errorf("remove image %s: %w", ref, err)
	}
	return nil
}
