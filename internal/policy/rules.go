package policy

const (
	cis       = "CIS Kubernetes Benchmark 1.8"
	cisDocker = "CIS Docker Benchmark 1.2"
	nsa       = "NSA/CISA Kubernetes Hardening Guide"
	pss       = "Pod Security Standards"

	rbac = "rbac.authorization.k8s.io"

	withoutProfiles = "an API server has no profiles, and cannot know what a program writes"

	unclearPath = "a path with .. is refused, because CEL cannot resolve it"
)

// Rules returns all rules, in the order in which findings are reported.
func Rules() []Rule {
	return []Rule{
		{
			ID: RootNotReadOnly, Severity: High,
			Title:  "The root file system of a container can be written",
			Reason: "Whoever gets into the container, and every fault of its program, can change its code and configuration. The change is in no image and in no manifest, and is gone when the pod is replaced.",
			Fix:    "set securityContext.readOnlyRootFilesystem: true in the container; adamant seal also adds the volumes that the program needs",
			Decides: "Each container, init container, sidecar and ephemeral container. A misspelled field, and one at a place where it has no effect, is named as such. " +
				"Containers of Windows and host processes are left out, because the field means nothing there.",
			References: []Reference{{cisDocker, "5.12", "container's root filesystem is mounted as read only"}, {cis, "5.7.3", "security context of pods and containers"}, {nsa, "", "Immutable container file systems"}},
			container:  rootNotReadOnly,
			CEL:        CEL{Container: rootNotReadOnlyCEL},
		},
		{
			ID: ImageNotPinned, Severity: Medium,
			Title:      "An image is not pinned by its digest",
			Reason:     "A tag can be moved. Two pods of one manifest then run different code, and a restart is an update that nobody reviewed.",
			Fix:        "name the image by its digest: NAME:TAG@sha256:DIGEST, with the digest of the index if it has several platforms; adamant seal --pin does that",
			Decides:    "The image of each container and of each image volume. A digest is sha256: and 64 hexadecimal digits. Whether it is that of an index is not decided, because that needs the registry.",
			References: []Reference{{nsa, "", "Building secure container images"}, {cisDocker, "4.2", "containers use only trusted base images"}},
			container:  imageNotPinned, pod: volumeNotPinned,
			CEL: CEL{Pod: imageNotPinnedCEL},
		},
		{
			ID: PullPolicy, Severity: Low,
			Title:      "The pull policy contradicts the pin",
			Reason:     "A pinned image cannot change, so pulling it always only makes the pod depend on the registry. A tag that moves, and that is not pulled, is a different image on each node.",
			Fix:        "use IfNotPresent with a digest; pin what has a moving tag",
			Decides:    "Always with a digest; IfNotPresent or Never, if they are written, with the tag latest or none.",
			References: []Reference{{"Kubernetes documentation", "", "Images, image pull policy"}},
			container:  pullPolicy,
			CEL: CEL{Container: pullPolicyCEL, Differs: []string{
				"an API server sets a missing imagePullPolicy: for NAME:latest@sha256:DIGEST it is Always, which contradicts the pin",
				"an image whose digest is invalid is a finding of image-not-pinned only",
			}},
		},
		{
			ID: "privileged", Severity: Critical,
			Title:      "A container is privileged",
			Reason:     "It has every capability and device of the node. A read-only root is no obstacle: it can be remounted, and so can the node's own.",
			Fix:        "remove privileged, and add the one capability that the program needs",
			Decides:    "privileged: true of each container, and hostProcess on Windows.",
			References: []Reference{{cis, "5.2.2", "privileged containers"}, {cis, "5.2.11", "Windows HostProcess containers"}, {nsa, "", "Pod security enforcement"}, {pss, "baseline", "Privileged Containers, HostProcess"}},
			container:  privileged,
			CEL:        CEL{Container: privilegedCEL},
		},
		{
			ID: "undoing-capability", Severity: High,
			Title:      "A capability undoes a read-only root",
			Reason:     "With it a program can remount its root, load code into the kernel, or reach the files and the memory of others.",
			Fix:        "remove the capability; drop ALL and add only what the program needs",
			Decides:    "ALL, SYS_ADMIN, SYS_MODULE, SYS_RAWIO, SYS_PTRACE, SYS_BOOT, DAC_READ_SEARCH, BPF, MAC_ADMIN and MAC_OVERRIDE in capabilities.add, with or without CAP_, in upper or lower case.",
			References: []Reference{{cis, "5.2.9", "added capabilities"}, {nsa, "", "Pod security enforcement"}, {pss, "baseline", "Capabilities"}},
			container:  undoingCapability,
			CEL:        CEL{Container: undoingCapabilityCEL},
		},
		{
			ID: "privilege-escalation", Severity: Medium,
			Title:      "A program can gain privileges",
			Reason:     "A setuid program in the image gives its caller root, and with it the permission to change what belongs to root in volumes and, without a read-only root, in the image.",
			Fix:        "set securityContext.allowPrivilegeEscalation: false in the container",
			Decides:    "Each container whose allowPrivilegeEscalation is not false. Its default is true. Containers of Windows are left out.",
			References: []Reference{{cis, "5.2.6", "allowPrivilegeEscalation"}, {nsa, "", "Pod security enforcement"}, {pss, "restricted", "Privilege Escalation"}},
			container:  privilegeEscalation,
			CEL:        CEL{Container: privilegeEscalationCEL},
		},
		{
			ID: "proc-unmasked", Severity: High,
			Title:      "/proc is not masked",
			Reason:     "Settings of the kernel below /proc/sys can be written, some of which start programs on the node.",
			Fix:        "remove procMount: Unmasked",
			Decides:    "procMount of each container.",
			References: []Reference{{pss, "baseline", "/proc Mount Type"}},
			container:  procUnmasked,
			CEL:        CEL{Container: procUnmaskedCEL},
		},
		{
			ID: "host-namespace", Severity: High,
			Title:      "A pod is in a namespace of the node",
			Reason:     "The pod reaches processes, memory or services of the node, which are not part of any image of the pod. With hostPID, the root of every process is below /proc.",
			Fix:        "remove hostPID, hostIPC and hostNetwork",
			Decides:    "hostPID, hostIPC and hostNetwork of each pod.",
			References: []Reference{{cis, "5.2.3, 5.2.4, 5.2.5", "host namespaces"}, {nsa, "", "Pod security enforcement"}, {pss, "baseline", "Host Namespaces"}},
			pod:        hostNamespace,
			CEL:        CEL{Pod: hostNamespaceCEL},
		},
		{
			ID: "host-path-writable", Severity: High,
			Title:      "A directory of the node is writable in a container",
			Reason:     "What is written there outlives the pod, and changes the node and every pod that uses the directory.",
			Fix:        "use a volume of the pod, or mount it with readOnly: true",
			Decides:    "Each mount of a hostPath volume without readOnly: true.",
			References: []Reference{{cis, "5.2.12", "HostPath volumes"}, {nsa, "", "Pod security enforcement"}, {pss, "baseline", "HostPath Volumes"}},
			container:  hostPathWritable,
			CEL:        CEL{Container: hostPathWritableCEL},
		},
		{
			ID: "runtime-socket", Severity: Critical,
			Title:      "A container has the socket of a container runtime",
			Reason:     "Whoever reaches the socket can start any container on the node, privileged ones too. A read-only mount does not prevent that.",
			Fix:        "remove the volume; ask the API server instead of the runtime",
			Decides:    "Each mounted hostPath that is the socket of Docker, containerd, CRI-O or podman at one of its usual places, or a directory around one.",
			References: []Reference{{cisDocker, "5.31", "Docker socket is not mounted inside any containers"}, {cis, "5.2.12", "HostPath volumes"}},
			container:  runtimeSocket,
			CEL:        CEL{Container: runtimeSocketCEL},
		},
		{
			ID: "writable-over-code", Severity: High,
			Title:  "A writable volume is where code is",
			Reason: "A program on a writable volume can be replaced while the root is read-only, and what is found first in PATH is run.",
			Fix:    "mount the volume with readOnly: true, or at a directory that has only data",
			Decides: "Each writable mount at a directory that holds code by convention: /bin, /lib, /usr and the like, /app, /opt and /opt/NAME, directories called bin, lib or node_modules below those; " +
				"at a directory of the PATH that the manifest sets; and one from which the container's command is started. With the image (--image), at a directory in which it has programs, libraries or scripts, or that is in its PATH.",
			References: []Reference{{nsa, "", "Immutable container file systems"}},
			container:  writableOverCode,
			CEL:        CEL{Pod: writableOverCodeCEL, Differs: []string{unclearPath}},
		},
		{
			ID: "hides-image-content", Severity: Medium,
			Title:      "An empty volume hides files of the image",
			Reason:     "The program does not find the files that the image has there. Whatever then fills the volume at run time is no longer what was built.",
			Fix:        "copy the content into the volume before the start (adamant seal adds an init container that does), or mount only the directory that is written",
			Decides:    "Each emptyDir at a directory in which images have files by convention (/etc, /usr, /var/lib, /var/www/html, /app and the like), unless an earlier init container can write to the volume. With the image (--image), at a directory in which it has files.",
			References: []Reference{{"kubernetes/ingress-nginx", "#4179", "an emptyDir hides files that the image needs"}},
			container:  hidesImageContent,
			CEL:        CEL{Pod: hidesImageContentCEL, Differs: []string{unclearPath}},
		},
		{
			ID: "unbounded-volume", Severity: Low,
			Title:      "An emptyDir has no size limit",
			Reason:     "One container can fill the disk or the memory of the node, and others fail. A kubelet evicts a pod that exceeds its limit, so choose one with room.",
			Fix:        "set emptyDir.sizeLimit; adamant seal --size-limit auto chooses one by what was written",
			Decides:    "Each emptyDir whose sizeLimit is missing or zero, and each volume without a source, which is an emptyDir.",
			References: []Reference{{"Kubernetes documentation", "", "Local ephemeral storage"}},
			pod:        unboundedVolume,
			CEL:        CEL{Pod: unboundedVolumeCEL},
		},
		{
			ID: "automount-token", Severity: Low,
			Title:      "A token of the default service account is mounted",
			Reason:     "The token is the way from a container to the API server, where whole workloads can be changed. Rights of the default account are those of every pod of the namespace.",
			Fix:        "set automountServiceAccountToken: false, or give the pod a service account of its own",
			Decides:    "Each pod without a service account of its own whose automountServiceAccountToken is not false, and that projects no token itself.",
			References: []Reference{{cis, "5.1.6", "service account tokens are only mounted where necessary"}, {cis, "5.1.5", "default service accounts are not actively used"}, {nsa, "", "Protecting Pod service account tokens"}},
			pod:        automountToken,
			CEL: CEL{Pod: automountTokenCEL, Differs: []string{
				"the volume kube-api-access-…, which an API server adds to each pod, is not counted as a token that the pod asks for",
			}},
		},
		{
			ID: "in-place-update", Severity: Medium,
			Title:      "An update does not replace instances",
			Reason:     "Old instances keep running, or are changed where they run, so that instances of one workload differ.",
			Fix:        "use RollingUpdate without a partition",
			Decides:    "OnDelete, a partition above zero, and the in-place types of OpenKruise, in updateStrategy and strategy of an object with pods.",
			References: []Reference{{"Kubernetes documentation", "", "update strategies of StatefulSet and DaemonSet"}},
			object:     inPlaceUpdate,
			CEL: CEL{
				Object: inPlaceUpdateCEL, Compared: "dyn(OBJECT).spec.?updateStrategy",
				Resources: []Resource{{"apps", "v1", "statefulsets"}, {"apps", "v1", "daemonsets"}},
				Differs:   []string{"custom resources, such as those of OpenKruise, are not looked at: their fields are at any place"},
			},
		},
		{
			ID: "mutable-config", Severity: Low,
			Title:      "A ConfigMap or Secret can be changed",
			Reason:     "A change reaches running pods one after the other, without a rollout and without a way back.",
			Fix:        "set immutable: true, and give each version a name of its own",
			Decides:    "Each ConfigMap and Secret without immutable: true, except tokens that a controller writes.",
			References: []Reference{{"Kubernetes documentation", "", "Immutable ConfigMaps and Secrets"}},
			object:     mutableConfig,
			CEL: CEL{
				Object: mutableConfigCEL, Resources: []Resource{{"", "v1", "configmaps"}, {"", "v1", "secrets"}},
				Differs: []string{
					"updates pass: what was there before must stay usable",
					"kube-root-ca.crt passes: Kubernetes writes it into each namespace",
				},
			},
		},
		{
			ID: "interactive-access", Severity: Medium,
			Title:  "A role allows changes of running containers",
			Reason: "Who may open a session in a container, copy into it or add one to a running pod can change it by hand.",
			Fix:    "remove the resource or the verb; grant it for the time of an incident only",
			Decides: "Rules of a Role or ClusterRole that allow pods/exec, pods/attach, pods/ephemeralcontainers or nodes/proxy, also by a wildcard; " +
				"bindings to cluster-admin, admin or edit.",
			References: []Reference{{cis, "5.1.1", "cluster-admin role is only used where required"}, {cis, "5.1.3", "wildcard use in Roles and ClusterRoles"}, {nsa, "", "Authentication and authorization"}},
			object:     interactiveAccess,
			CEL: CEL{
				Object: interactiveAccessCEL, Compared: "[dyn(OBJECT).?rules, dyn(OBJECT).?subjects]",
				Resources: []Resource{{rbac, "v1", "roles"}, {rbac, "v1", "clusterroles"}, {rbac, "v1", "rolebindings"}, {rbac, "v1", "clusterrolebindings"}},
				Differs:   []string{"an aggregated ClusterRole passes: its rules are those of other roles, which are looked at"},
			},
		},
		{
			ID: MissingVolume, Severity: High,
			Title:      "A volume is missing that the program needs",
			Reason:     "The program writes there, as was seen when its profile was learned. With a read-only root the write fails, and with a writable one the program changes what runs.",
			Fix:        "let adamant seal --profile FILE add it, with the content that the image has there; or mount an emptyDir at the path",
			Decides:    "Containers with a profile (--profile, --profiles, or a file .profile beside the manifest): each volume of the profile at whose path, or above it, nothing is mounted. These are the volumes that adamant seal adds.",
			References: []Reference{{nsa, "", "Immutable container file systems"}, {"kubernetes/ingress-nginx", "#4179", "an emptyDir hides files that the image needs"}},
			container:  missingVolume,
			CEL:        CEL{Impossible: withoutProfiles},
		},
		{
			ID: SuperfluousVolume, Severity: Low,
			Title:      "A writable volume is not needed",
			Reason:     "Whoever gets into the container can keep programs and data there, and an empty volume may hide files of the image. The smallest set of volumes is the safest.",
			Fix:        "remove the volume, or mount it with readOnly: true; if the program does write there, learn it once more with load that shows it",
			Decides:    "Containers with a profile: each writable emptyDir that no other container has mounted, and at or below which the profile has no write and no attempt. A profile that does not tell, because it is older, is named in a note.",
			References: []Reference{{nsa, "", "Immutable container file systems"}},
			container:  superfluousVolume,
			CEL:        CEL{Impossible: withoutProfiles},
		},
		exceptionRule(ExceptionInvalid, Medium, "An exception is not understood",
			"It ignores nothing. Whoever wrote it believes that it does.",
			"write it as adamant.sh/ignore.RULE: \"until=2027-03-31; owner=team-shop; reason=why\"",
			"Annotations that begin with adamant.sh/ignore, of each object and pod template: the rule has to exist, and the end date, the owner and the reason have to be there."),
		exceptionRule(ExceptionExpired, Medium, "An exception has ended",
			"What it ignored counts again. It was accepted until that day only.",
			"fix what it is for, or accept it again with another end date",
			"Exceptions whose end date is before today, in UTC."),
		exceptionRule(ExceptionUnused, Low, "An exception ignores nothing",
			"What it was for is fixed, or it never matched. It would ignore the next finding of this kind without a decision.",
			"remove it",
			"Exceptions for a rule that was evaluated and has no finding there. Those of a configuration count only if its whole folder was checked and understood, or --config names it."),
	}
}

func exceptionRule(id string, s Severity, title, reason, fix, decides string) Rule {
	return Rule{ID: id, Severity: s, Title: title, Reason: reason, Fix: fix, Decides: decides, References: []Reference{{"Adamant", "docs/reference/check.md", "Exceptions"}},
		CEL: CEL{Impossible: "exceptions do not apply to policies: CEL has no clock, so that none could end, and an annotation of whoever sends the object permits nothing"}}
}
