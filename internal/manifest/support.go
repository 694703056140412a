package manifest

// A support row lists the supported fields of one API type. A field that is in
// no list is refused, because a field that a later Kubernetes adds may change
// how a pod runs.
type support struct {
	// runs lists the fields that have the same effect as with a kubelet,
	// separated by blanks. "name=value" allows only that value, "*" every
	// field.
	runs string
	// notes are the fields that have no effect on one machine, with the reason.
	notes map[string]string
	// hints are the remedies for common refused fields.
	hints map[string]string
}

const (
	oneMachine   = "pods are not scheduled here: there is one machine"
	noTokens     = "there is no API server here: no token is mounted"
	notReplaced  = "used only when pods are replaced, which a cluster does"
	oneReplica   = "one pod is run, however many are asked for"
	onePod       = "one pod is run, once"
	noController = "kept for a controller, of a cluster or of adamant serve"
	emptyVolume  = "persistent volumes need a cluster: an empty one stands for it here, and is removed with the pod"
)

// supported is the list of allowed fields, by the name of the API type. Objects
// come first and the types of the pod below them.
var supported = map[string]support{
	"ObjectMeta": {runs: "*"},

	"Pod":                   {runs: "apiVersion kind metadata spec status"},
	"Deployment":            {runs: "apiVersion kind metadata spec status"},
	"StatefulSet":           {runs: "apiVersion kind metadata spec status"},
	"DaemonSet":             {runs: "apiVersion kind metadata spec status"},
	"ReplicaSet":            {runs: "apiVersion kind metadata spec status"},
	"ReplicationController": {runs: "apiVersion kind metadata spec status"},
	"Job":                   {runs: "apiVersion kind metadata spec status"},
	"CronJob":               {runs: "apiVersion kind metadata spec status"},

	"PodStatus": {runs: "*"}, "DeploymentStatus": {runs: "*"}, "StatefulSetStatus": {runs: "*"},
	"DaemonSetStatus": {runs: "*"}, "ReplicaSetStatus": {runs: "*"},
	"ReplicationControllerStatus": {runs: "*"}, "JobStatus": {runs: "*"}, "CronJobStatus": {runs: "*"},
	"LabelSelector": {runs: "*"},

	"DeploymentSpec": {
		runs: "selector template replicas=1 paused=false revisionHistoryLimit progressDeadlineSeconds",
		notes: map[string]string{
			"replicas": oneReplica, "strategy": notReplaced, "minReadySeconds": notReplaced, "paused": notReplaced,
		},
	},
	"StatefulSetSpec": {
		runs: "selector template serviceName replicas=1 revisionHistoryLimit",
		notes: map[string]string{
			"replicas": oneReplica, "podManagementPolicy": oneReplica, "updateStrategy": notReplaced,
			"minReadySeconds": notReplaced, "persistentVolumeClaimRetentionPolicy": noController,
			"volumeClaimTemplates": emptyVolume,
		},
	},
	"DaemonSetSpec": {
		runs:  "selector template revisionHistoryLimit",
		notes: map[string]string{"updateStrategy": notReplaced, "minReadySeconds": notReplaced},
	},
	"ReplicaSetSpec": {
		runs:  "selector template replicas=1",
		notes: map[string]string{"replicas": oneReplica, "minReadySeconds": notReplaced},
	},
	"ReplicationControllerSpec": {
		runs:  "selector template replicas=1",
		notes: map[string]string{"replicas": oneReplica, "minReadySeconds": notReplaced},
	},
	"JobSpec": {
		runs: "selector manualSelector template parallelism=1 completions=1 suspend=false completionMode=NonIndexed",
		notes: map[string]string{
			"parallelism": onePod, "completions": onePod, "backoffLimit": onePod, "activeDeadlineSeconds": onePod,
			"suspend": "the pod is run all the same", "ttlSecondsAfterFinished": noController,
			"podReplacementPolicy": noController, "podFailurePolicy": onePod, "successPolicy": onePod,
		},
		hints: map[string]string{"completionMode": "adamant apply runs all indexes"},
	},
	"CronJobSpec": {
		runs: "jobTemplate suspend=false",
		notes: map[string]string{
			"schedule": "the job is run once, now", "timeZone": noController, "startingDeadlineSeconds": noController,
			"concurrencyPolicy": noController, "suspend": "the job is run all the same",
			"successfulJobsHistoryLimit": noController, "failedJobsHistoryLimit": noController,
		},
	},
	"JobTemplateSpec": {runs: "metadata spec"},
	"PodTemplateSpec": {runs: "metadata spec"},

	"PodSpec": {
		runs: "containers initContainers imagePullSecrets volumes securityContext restartPolicy" +
			" terminationGracePeriodSeconds activeDeadlineSeconds" +
			" hostname subdomain hostAliases dnsPolicy dnsConfig enableServiceLinks" +
			" hostNetwork hostPID hostIPC shareProcessNamespace os" +
			" automountServiceAccountToken=false setHostnameAsFQDN=false hostUsers=true" +
			" schedulerName=default-scheduler",
		notes: map[string]string{
			"nodeSelector": oneMachine, "nodeName": oneMachine, "affinity": oneMachine, "tolerations": oneMachine,
			"topologySpreadConstraints": oneMachine, "schedulerName": oneMachine, "priorityClassName": oneMachine,
			"priority": oneMachine, "preemptionPolicy": oneMachine,
			"serviceAccountName": noTokens, "serviceAccount": noTokens, "automountServiceAccountToken": noTokens,
		},
		hints: map[string]string{
			"ephemeralContainers": "they are added to a running pod; use adamant exec",
			"hostUsers":           "user namespaces are not used here",
			"runtimeClassName":    "one runtime is used here",
			"schedulingGates":     "such a pod is never started",
			"readinessGates":      "nothing here would set the condition",
			"resourceClaims":      "devices are claimed from a cluster",
		},
	},
	"PodOS":                {runs: "name=linux"},
	"LocalObjectReference": {runs: "name"},
	"HostAlias":            {runs: "ip hostnames"},
	"PodDNSConfig":         {runs: "nameservers searches options"},
	"PodDNSConfigOption":   {runs: "name value"},
	"PodSecurityContext": {
		runs: "runAsUser runAsGroup runAsNonRoot supplementalGroups supplementalGroupsPolicy" +
			" fsGroup fsGroupChangePolicy sysctls seLinuxOptions seccompProfile appArmorProfile",
	},
	"Sysctl": {runs: "name value"},

	// Containers; init containers may also be sidecars.
	"Container": {
		runs: "name image imagePullPolicy command args workingDir env envFrom ports resources" +
			" volumeMounts livenessProbe readinessProbe startupProbe lifecycle" +
			" terminationMessagePath terminationMessagePolicy securityContext stdin stdinOnce tty",
		notes: map[string]string{"resizePolicy": "resources are not changed while a pod runs"},
		hints: map[string]string{
			"restartPolicy": "it is for init containers; the pod's own restartPolicy holds here",
			"volumeDevices": "block devices come from persistent volumes, which need a cluster",
		},
	},
	"InitContainer": {
		runs: "name image imagePullPolicy command args workingDir env envFrom ports resources" +
			" volumeMounts livenessProbe readinessProbe startupProbe lifecycle" +
			" terminationMessagePath terminationMessagePolicy securityContext stdin stdinOnce tty" +
			" restartPolicy=Always",
		notes: map[string]string{"resizePolicy": "resources are not changed while a pod runs"},
	},
	"ContainerPort":         {runs: "name containerPort hostPort hostIP protocol"},
	"EnvVar":                {runs: "name value valueFrom"},
	"EnvVarSource":          {runs: "configMapKeyRef secretKeyRef fieldRef resourceFieldRef"},
	"ConfigMapKeySelector":  {runs: "name key optional"},
	"SecretKeySelector":     {runs: "name key optional"},
	"ObjectFieldSelector":   {runs: "apiVersion fieldPath"},
	"ResourceFieldSelector": {runs: "containerName resource divisor"},
	"EnvFromSource":         {runs: "prefix configMapRef secretRef"},
	"ConfigMapEnvSource":    {runs: "name optional"},
	"SecretEnvSource":       {runs: "name optional"},
	"ResourceRequirements":  {runs: "limits requests"},
	"ResourceList":          {runs: "cpu memory ephemeral-storage"},
	"VolumeMount": {
		runs: "name mountPath readOnly recursiveReadOnly subPath subPathExpr mountPropagation",
	},
	"SecurityContext": {
		runs: "capabilities privileged runAsUser runAsGroup runAsNonRoot readOnlyRootFilesystem" +
			" allowPrivilegeEscalation procMount seLinuxOptions seccompProfile appArmorProfile",
	},
	"Capabilities":    {runs: "add drop"},
	"SELinuxOptions":  {runs: "user role type level"},
	"SeccompProfile":  {runs: "type localhostProfile"},
	"AppArmorProfile": {runs: "type localhostProfile"},

	"Probe": {
		runs: "exec httpGet tcpSocket grpc initialDelaySeconds timeoutSeconds periodSeconds" +
			" successThreshold failureThreshold terminationGracePeriodSeconds",
	},
	"Lifecycle":        {runs: "postStart preStop stopSignal"},
	"LifecycleHandler": {runs: "exec httpGet tcpSocket sleep"},
	"ExecAction":       {runs: "command"},
	"HTTPGetAction":    {runs: "path port host scheme httpHeaders"},
	"HTTPHeader":       {runs: "name value"},
	"TCPSocketAction":  {runs: "port host"},
	"GRPCAction":       {runs: "port service"},
	"SleepAction":      {runs: "seconds"},

	"Volume": {
		runs:  "name emptyDir hostPath configMap secret projected downwardAPI image",
		notes: map[string]string{"persistentVolumeClaim": emptyVolume, "ephemeral": emptyVolume},
		hints: map[string]string{"csi": "there are no CSI drivers here"},
	},
	"EmptyDirVolumeSource":    {runs: "medium= medium=Memory sizeLimit"},
	"HostPathVolumeSource":    {runs: "path type"},
	"ConfigMapVolumeSource":   {runs: "name items defaultMode optional"},
	"SecretVolumeSource":      {runs: "secretName items defaultMode optional"},
	"KeyToPath":               {runs: "key path mode"},
	"DownwardAPIVolumeSource": {runs: "items defaultMode"},
	"DownwardAPIVolumeFile":   {runs: "path fieldRef resourceFieldRef mode"},
	"ProjectedVolumeSource":   {runs: "sources defaultMode"},
	"VolumeProjection": {
		runs:  "configMap secret downwardAPI",
		hints: map[string]string{"serviceAccountToken": "there is no API server here that could issue one"},
	},
	"ConfigMapProjection":   {runs: "name items optional"},
	"SecretProjection":      {runs: "name items optional"},
	"DownwardAPIProjection": {runs: "items"},
	"ImageVolumeSource":     {runs: "reference pullPolicy"},
}
