// Package pod runs pods of Kubernetes manifests on this machine, over CRI,
// as a kubelet runs them: the same volumes with the same owners and modes, the
// same environment, security context, probes, hooks and order of things. Where
// a choice is left open by the API, the kubelet's own behaviour is followed.
//
// A pod outlives the command that started it. Its spec is written under Root
// before anything is created, so that any later command finds the
// pod again, and one that was killed half way leaves nothing behind.
//
// It knows nothing of sealing, learning or drift, and parses no YAML.
package pod
