// Package pod runs pods of Kubernetes manifests on this machine through CRI, as
// a kubelet runs them: with the same volumes, owners and modes, the same
// environment, security context, probes and hooks, and in the same order. Where
// the API leaves a choice open, the package does as the kubelet does.
//
// A pod outlives the command that started it. Its spec is written below Root
// before anything is created, so that any later command finds the pod, and the
// next one removes a pod whose creator was killed.
//
// The package does not learn or seal, and parses no YAML. Drift is compared by
// package inspect.
package pod
