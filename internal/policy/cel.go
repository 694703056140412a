package policy

import (
	"regexp"
	"strings"
)

// A CEL is a rule in the Common Expression Language, as the admission policies of an API
// server evaluate it. It may use Variables.
type CEL struct {
	// One of these finds what breaks the rule. Container is a condition on a container c.
	// Pod and Object are lists of texts, one for each part of the pod or object that
	// breaks the rule.
	Container string
	Pod       string
	Object    string

	// Resources are those that Object is for.
	Resources []Resource

	// Compared is the part of OBJECT that Object looks at. An update that keeps it passes. If
	// it is empty, all updates pass.
	Compared string

	// Differs are the cases in which the verdict is not that of Check, each with the reason.
	Differs []string

	// Impossible is why the rule cannot be written in CEL.
	Impossible string
}

// A Resource is what an API server calls a kind of object.
type Resource struct{ Group, Version, Name string }

// A Variable is a named expression that others may use as variables.NAME.
type Variable struct{ Name, Expression string }

// Variables returns the variables of the rules, in an order in which each uses those before
// it only. They are for objects with one pod.
func Variables() []Variable {
	return []Variable{
		{"spec", podSpecCEL},
		{"containers", containersCEL},
		{"windows", windowsCEL},
		{"volumes", `variables.spec.?volumes.orValue([])`},
		{"writable", writableCEL},
		{"empty", `variables.volumes.filter(v, has(v.emptyDir) || has(v.ephemeral)).map(v, v.name)`},
		{"inits", `variables.spec.?initContainers.orValue([]).map(c, c.name)`},
		{"mounted", mountedCEL},
		{"sockets", socketsCEL()},
	}
}

// podSpecCEL is the pod's spec. dyn is there because each kind has it at another place.
const podSpecCEL = `object.kind == 'Pod' ? dyn(object).spec :
object.kind == 'PodTemplate' ? dyn(object).template.spec :
object.kind == 'CronJob' ? dyn(object).spec.jobTemplate.spec.template.spec :
dyn(object).spec.template.spec`

// ComparedPod is the part of OBJECT that rules for pods look at.
const ComparedPod = `(OBJECT.kind == 'Pod' ? dyn(OBJECT).spec :
OBJECT.kind == 'PodTemplate' ? dyn(OBJECT).template :
OBJECT.kind == 'CronJob' ? dyn(OBJECT).spec.jobTemplate.spec.template.spec :
dyn(OBJECT).spec.template.spec)`

// containersCEL are all containers. Of a request to debug a pod it is only what is added:
// the pod itself cannot be changed by it.
const containersCEL = `request.?subResource.orValue('') == 'ephemeralcontainers' ?
variables.spec.?ephemeralContainers.orValue([]).filter(c,
  !(c in dyn(oldObject).spec.?ephemeralContainers.orValue([]))) :
variables.spec.?initContainers.orValue([]) +
variables.spec.?containers.orValue([]) +
variables.spec.?ephemeralContainers.orValue([])`

// windowsCEL is isWindows.
const windowsCEL = `variables.spec.?os.?name.orValue('') == 'windows' ||
['kubernetes.io/os', 'beta.kubernetes.io/os'].exists(l,
  variables.spec.?nodeSelector[?l].orValue('') == 'windows') ||
[variables.spec.?affinity.?nodeAffinity
  .?requiredDuringSchedulingIgnoredDuringExecution.?nodeSelectorTerms.orValue([])].exists(terms,
  terms.size() > 0 && terms.all(t, t.?matchExpressions.orValue([]).exists(e,
    e.key in ['kubernetes.io/os', 'beta.kubernetes.io/os'] && e.operator == 'In' &&
    e.values.all(v, v == 'windows'))))`

// WindowsCEL returns a condition for pods of Windows. spec is an expression for the pod's spec.
func WindowsCEL(spec string) string { return strings.ReplaceAll(windowsCEL, "variables.spec", spec) }

// HostProcessCEL returns a condition for a container c that is a process of a Windows host.
func HostProcessCEL(spec string) string {
	return strings.ReplaceAll(hostProcessCEL, "variables.spec", spec)
}

// hostProcessCEL is isHostProcess of c.
const hostProcessCEL = `c.?securityContext.?windowsOptions.?hostProcess.orValue(
  variables.spec.?securityContext.?windowsOptions.?hostProcess.orValue(false))`

// writableCEL are the names of the volumes that can be written where a mount does not
// forbid it.
const writableCEL = `variables.volumes.filter(v, !v.exists(k,
  k in ['configMap', 'secret', 'projected', 'downwardAPI', 'image'] ||
  k != 'name' && v[k].?readOnly.orValue(false))).map(v, v.name) +
(object.kind == 'StatefulSet' ?
  dyn(object).spec.?volumeClaimTemplates.orValue([]).map(t, t.metadata.name) : [])`

// mountedCEL are the containers with their mounts, whose paths are clean ("/" is ""), the
// directories of the PATH that the manifest sets, the program that it starts, and the index
// among the init containers, or -1.
var mountedCEL = `variables.containers.map(c, {
  'name': dyn(c.name),
  'init': dyn(variables.inits.indexOf(c.name)),
  'searched': dyn(c.?env.orValue([]).filter(e, e.name == 'PATH').map(e,
    e.?value.orValue('').split(':').filter(d, d.startsWith('/')).map(d, ` + CleanCEL("d") + `))),
  'program': dyn(c.?command.orValue([]).size() > 0 && c.command[0].startsWith('/') ?
    ` + CleanCEL("c.command[0]") + ` : ''),
  'mounts': dyn(c.?volumeMounts.orValue([]).map(m, {
    'path': dyn(` + CleanCEL("m.mountPath") + `),
    'volume': dyn(m.name),
    'writable': dyn(!m.?readOnly.orValue(false) && m.name in variables.writable)}))})`

// CleanCEL returns an expression for a path without superfluous slashes and dots. CEL cannot
// resolve "..", which remains.
func CleanCEL(path string) string {
	return path + `.split('/').filter(s, s != '' && s != '.').map(s, '/' + s).join('')`
}

// unclearCEL is true for a mount m whose path CEL cannot resolve.
const unclearCEL = `m.path.matches(r'/\.\.(/|$)')`

const (
	rootNotReadOnlyCEL = `!variables.windows &&
!` + hostProcessCEL + ` &&
!c.?securityContext.?readOnlyRootFilesystem.orValue(false)`

	pinnedPattern = `r'^[^@]+@sha256:[0-9a-f]{64}$'`

	imageNotPinnedCEL = `variables.containers.filter(c,
  c.?image.orValue('') != '' && !c.image.matches(` + pinnedPattern + `)).map(c, 'container ' + c.name) +
(request.?subResource.orValue('') == 'ephemeralcontainers' ? [] : variables.volumes.filter(v,
  v.?image.?reference.orValue('') != '' && !v.image.reference.matches(` + pinnedPattern + `)).map(v, 'volume ' + v.name))`

	// The first pattern is a tag latest, or none.
	pullPolicyCEL = `[c.?imagePullPolicy.orValue('')].exists(p, p != '' && (p == 'Always' ?
  c.?image.orValue('').matches(` + pinnedPattern + `) :
  c.?image.orValue('').matches(r'^([^@]*/)?[^/:@]+(:latest)?$')))`

	privilegedCEL = hostProcessCEL + ` ||
!variables.windows && c.?securityContext.?privileged.orValue(false)`

	privilegeEscalationCEL = `!variables.windows &&
!` + hostProcessCEL + ` &&
c.?securityContext.?allowPrivilegeEscalation.orValue(true)`

	procUnmaskedCEL = `c.?securityContext.?procMount.orValue('') == 'Unmasked'`

	hostNamespaceCEL = `['hostPID', 'hostIPC', 'hostNetwork'].filter(f,
  variables.spec[?f].orValue(false)).map(f, f + ' is true')`

	hostPathWritableCEL = `c.?volumeMounts.orValue([]).exists(m, !m.?readOnly.orValue(false) &&
  variables.volumes.exists(v, v.name == m.name && has(v.hostPath)))`

	runtimeSocketCEL = `c.?volumeMounts.orValue([]).exists(m, m.name in variables.sockets)`

	unboundedVolumeCEL = `variables.volumes.filter(v, has(v.emptyDir) &&
  !(has(v.emptyDir.sizeLimit) && quantity(string(v.emptyDir.sizeLimit)).isGreaterThan(quantity('0')))
).map(v, 'volume ' + v.name)`

	// The volume of that name is the token that is mounted by default.
	automountTokenCEL = `variables.spec.?automountServiceAccountToken.orValue(true) &&
variables.spec.?serviceAccountName.orValue(variables.spec.?serviceAccount.orValue('')) in ['', 'default'] &&
!variables.volumes.exists(v, !v.name.startsWith('kube-api-access-') &&
  v.?projected.?sources.orValue([]).exists(s, has(s.serviceAccountToken))) ?
['automountServiceAccountToken is not false'] : []`

	inPlaceUpdateCEL = `[dyn(object).spec.?updateStrategy].filter(s,
  s.?type.orValue('') == 'OnDelete').map(s, 'updateStrategy.type is OnDelete') +
[dyn(object).spec.?updateStrategy].filter(s,
  s.?type.orValue('') != 'OnDelete' && s.?rollingUpdate.?partition.orValue(0) > 0
).map(s, 'updateStrategy.rollingUpdate.partition is above 0')`

	mutableConfigCEL = `dyn(object).?immutable.orValue(false) || object.metadata.name == 'kube-root-ca.crt' ||
dyn(object).?type.orValue('') in ['kubernetes.io/service-account-token', 'bootstrap.kubernetes.io/token'] ?
[] : ['immutable is not true']`
)

var (
	undoingCapabilityCEL = `!variables.windows &&
c.?securityContext.?capabilities.?add.orValue([]).exists(a,
  a.upperAscii().matches(r'^(CAP_)?(` + alternatives(undoingNames()) + `)$'))`

	writableOverCodeCEL = `variables.mounted.filter(c, c.mounts.exists(m, m.writable && (
  m.path.matches(r'` + codePattern() + `') &&
  !m.path.matches(r'^/opt/(` + alternatives(dataNames) + `)$') ||
  c.searched.exists(l, m.path in l) ||
  c.program != '' && (c.program.matches(r'/\.\.(/|$)') ||
    (c.program + '/').startsWith(m.path + '/') && !c.mounts.exists(o,
      o.path.size() > m.path.size() && (c.program + '/').startsWith(o.path + '/'))) ||
  ` + unclearCEL + `))).map(c, 'container ' + c.name)`

	hidesImageContentCEL = `variables.mounted.filter(c, c.mounts.exists(m, m.volume in variables.empty && (
  m.path.matches(r'^(` + alternatives(withoutRoot(filled)) + `)$') || ` + unclearCEL + `) &&
  !variables.mounted.exists(i, i.init >= 0 && (c.init < 0 || i.init < c.init) &&
    i.mounts.exists(o, o.volume == m.volume && o.writable)))).map(c, 'container ' + c.name)`

	interactiveAccessCEL = `(has(dyn(object).aggregationRule) ? [] : dyn(object).?rules.orValue([])).filter(r,
  r.?apiGroups.orValue([]).exists(g, g in ['', '*']) && (
` + sessionsCEL() + `)
).map(r, 'the rule for ' + r.resources.join(', ')) +
(dyn(object).?roleRef.?kind.orValue('') == 'ClusterRole' &&
  dyn(object).roleRef.name in ['cluster-admin', 'admin', 'edit'] &&
  dyn(object).?subjects.orValue([]).size() > 0 ? ['the role ' + dyn(object).roleRef.name] : [])`
)

// socketsCEL are the names of the volumes that have a socket of a runtime. /var/run is /run
// on a node.
func socketsCEL() string {
	return `variables.volumes.filter(v, has(v.hostPath) &&
  [` + CleanCEL("v.hostPath.path") + ` + '/'].map(p,
    p.startsWith('/var/run/') ? p.substring(4) : p).exists(p, [
    '` + strings.Join(sockets, "/',\n    '") + `/'].exists(s, s.startsWith(p)))).map(v, v.name)`
}

func undoingNames() []string {
	var names []string
	for _, u := range undoing {
		names = append(names, u.name)
	}
	return names
}

// codePattern matches the clean paths of holdsCode, and those of holdsData below /opt.
func codePattern() string {
	return `^(` + alternatives(withoutRoot(codeParents)) + `)$` +
		`|^(` + alternatives(codeRoots) + `)(/|$)` +
		`|^/opt/[^/]+$` +
		`|^/(opt|app|usr|srv|home)/(.*/)?(` + alternatives(codeNames) + `)$`
}

func sessionsCEL() string {
	var all []string
	for _, s := range sessions {
		role := ""
		if s.resource == "nodes" {
			role = `object.kind == 'ClusterRole' && `
		}
		all = append(all, `  `+role+`r.verbs.exists(v, v in ['`+strings.Join(s.verbs, `', '`)+`', '*']) &&
    r.?resources.orValue([]).exists(x, x in ['*', '`+s.resource+`/`+s.subresource+`', '*/`+s.subresource+`'])`)
	}
	return strings.Join(all, " ||\n")
}

// withoutRoot returns clean paths as CleanCEL does.
func withoutRoot(paths []string) []string {
	var out []string
	for _, p := range paths {
		out = append(out, strings.TrimSuffix(p, "/"))
	}
	return out
}

// alternatives returns a pattern that matches one of some texts.
func alternatives(texts []string) string {
	var out []string
	for _, t := range texts {
		out = append(out, regexp.QuoteMeta(t))
	}
	return strings.Join(out, "|")
}
