package manifest

// declared has the rows for a runner that keeps workloads running.
var declared = map[string]support{
	"DeploymentSpec": {
		runs: "selector template replicas strategy minReadySeconds paused progressDeadlineSeconds revisionHistoryLimit",
	},
	"DeploymentStrategy":      {runs: "type rollingUpdate"},
	"RollingUpdateDeployment": {runs: "maxSurge maxUnavailable"},
	"StatefulSetSpec": {
		runs: "selector template serviceName replicas podManagementPolicy updateStrategy minReadySeconds revisionHistoryLimit ordinals" +
			" volumeClaimTemplates persistentVolumeClaimRetentionPolicy",
	},
	"StatefulSetUpdateStrategy":                       {runs: "type rollingUpdate"},
	"RollingUpdateStatefulSetStrategy":                {runs: "partition maxUnavailable"},
	"StatefulSetOrdinals":                             {runs: "start"},
	"StatefulSetPersistentVolumeClaimRetentionPolicy": {runs: "whenDeleted whenScaled"},
	"ReplicaSetSpec":                                  {runs: "selector template replicas minReadySeconds"},
	"DaemonSetSpec": {
		runs:  "selector template revisionHistoryLimit minReadySeconds",
		notes: map[string]string{"updateStrategy": "one instance is run on this machine, and replaced as a Deployment's"},
	},

	"JobSpec": {
		runs: "selector manualSelector template parallelism completions completionMode backoffLimit activeDeadlineSeconds" +
			" backoffLimitPerIndex maxFailedIndexes suspend ttlSecondsAfterFinished podFailurePolicy successPolicy podReplacementPolicy=Failed" +
			" managedBy=kubernetes.io/job-controller",
		notes: map[string]string{"podReplacementPolicy": "a pod is replaced once it has ended"},
		hints: map[string]string{"managedBy": "no other controller runs here"},
	},
	"CronJobSpec": {
		runs: "schedule timeZone startingDeadlineSeconds concurrencyPolicy suspend jobTemplate successfulJobsHistoryLimit failedJobsHistoryLimit",
	},
	"SuccessPolicy":                          {runs: "rules"},
	"SuccessPolicyRule":                      {runs: "succeededIndexes succeededCount"},
	"PodFailurePolicy":                       {runs: "rules"},
	"PodFailurePolicyRule":                   {runs: "action onExitCodes", notes: map[string]string{"onPodConditions": "nothing here disrupts a pod: the rule never matches"}},
	"PodFailurePolicyOnExitCodesRequirement": {runs: "containerName operator values"},

	"Service": {runs: "apiVersion kind metadata spec", notes: map[string]string{"status": "it is a cluster's"}},
	"ServiceSpec": {
		runs: "selector ports type=ClusterIP type=NodePort type=LoadBalancer type=ExternalName externalName clusterIP" +
			" sessionAffinity=None publishNotReadyAddresses",
		notes: map[string]string{
			"clusterIPs":            "clusterIP is used",
			"internalTrafficPolicy": oneMachine, "externalTrafficPolicy": oneMachine, "trafficDistribution": oneMachine,
			"healthCheckNodePort": oneMachine, "allocateLoadBalancerNodePorts": oneMachine, "loadBalancerClass": oneMachine,
			"ipFamilies": "annotation adamant.sh/listen says where", "ipFamilyPolicy": "annotation adamant.sh/listen says where",
		},
		hints: map[string]string{
			"sessionAffinity": "requests go to any instance",
		},
	},
	"Ingress":               {runs: "apiVersion kind metadata spec", notes: map[string]string{"status": "it is a cluster's"}},
	"IngressSpec":           {runs: "ingressClassName defaultBackend tls rules"},
	"IngressTLS":            {runs: "hosts secretName"},
	"IngressRule":           {runs: "host http"},
	"HTTPIngressRuleValue":  {runs: "paths"},
	"HTTPIngressPath":       {runs: "path pathType backend"},
	"IngressBackend":        {runs: "service", hints: map[string]string{"resource": "only Services are served"}},
	"IngressServiceBackend": {runs: "name port"},
	"ServiceBackendPort":    {runs: "name number"},

	"ServicePort": {
		runs:  "name protocol=TCP port targetPort nodePort appProtocol",
		hints: map[string]string{"protocol": "only TCP is balanced"},
	},
}
