package main

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// A deployment is the Deployment in the cluster.
type deployment struct{ api kubernetes.Interface }

func dialCluster(kubeconfig string) (deployment, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return deployment{}, err
	}
	api, err := kubernetes.NewForConfig(config)
	return deployment{api}, err
}

func (d deployment) apply(ctx context.Context, manifest []byte) error {
	force := true
	_, err := d.api.AppsV1().Deployments("default").Patch(ctx, "web", types.ApplyYAMLPatchType, manifest,
		metav1.PatchOptions{FieldManager: "bench", Force: &force})
	return err
}

// isRolledOut makes the check of kubectl rollout status, but for readiness in
// place of availability, which is the same without minReadySeconds.
func (d deployment) isRolledOut(ctx context.Context) (bool, error) {
	got, err := d.api.AppsV1().Deployments("default").Get(ctx, "web", metav1.GetOptions{})
	if err != nil {
		return false, err
	}
	s := got.Status
	return s.ObservedGeneration == got.Generation && s.Replicas == replicas && s.UpdatedReplicas == replicas && s.ReadyReplicas == replicas, nil
}

func (d deployment) isSettled(ctx context.Context) (bool, error) {
	pods, err := d.api.CoreV1().Pods("default").List(ctx, metav1.ListOptions{})
	return err == nil && len(pods.Items) == replicas, err
}

// remove deletes the Deployment with its pods. A missing Deployment is not an
// error.
func (d deployment) remove(ctx context.Context) error {
	background := metav1.DeletePropagationBackground
	err := d.api.AppsV1().Deployments("default").Delete(ctx, "web", metav1.DeleteOptions{PropagationPolicy: &background})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
