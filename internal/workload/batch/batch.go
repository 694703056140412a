// Package batch decides how the pods of a Job and the Jobs of a CronJob are run:
// which are created and removed, when a Job is complete or has failed, and when the
// next Job of a CronJob is due. It follows the controllers of Kubernetes 1.37
// (k8s.io/kubernetes/pkg/controller/job and cronjob).
//
// It is pure: NextPods and NextJobs take a state and what was observed, and return the
// next state and a decision. The driver, internal/workload/local, stores the state
// before it executes the decision and makes none of its own.
package batch

// An Event is recorded in the history of a Job or CronJob. Its reason is that of
// Kubernetes.
type Event struct {
	Reason  string
	Message string
}
