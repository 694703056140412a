package capture

import (
	"bytes"
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// ManifestOptions configures Manifest. Image must be set.
type ManifestOptions struct {
	Image string
	// DataDir is the directory into which ReadData unpacked the data
	// directories, each under its VolumeName. If it is empty, data starts empty.
	DataDir string
}

// An object is a Kubernetes object or a part of one.
type object = map[string]any

// Manifest writes the services as Kubernetes objects: for each pod a Deployment of one
// replica, and for each service that listens for others a Service. Services that read
// secrets also need the objects of SecretManifest.
func Manifest(p Plan, o ManifestOptions) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# What ran on a server with %s, captured by adamant.\n", oneLine(p.Release))
	for _, pod := range p.pods() {
		objects := []object{deployment(&p, pod, o)}
		for _, v := range pod.services {
			if s := serviceObject(v); s != nil {
				objects = append(objects, s)
			}
		}
		for _, obj := range objects {
			text, err := yaml.Marshal(obj)
			if err != nil {
				return nil, fmt.Errorf("write manifest of %s: %w", pod.name, err)
			}
			fmt.Fprintf(&b, "---\n# %s\n%s", oneLine(pod.units()), text)
		}
	}
	return b.Bytes(), nil
}

// A podOf is the services of one Deployment.
type podOf struct {
	name     string
	services []*Service
}

// pods returns the pods in the order of their first services.
func (p *Plan) pods() []podOf {
	var pods []podOf
	for i := range p.Services {
		v := &p.Services[i]
		name := v.podName()
		at := slices.IndexFunc(pods, func(o podOf) bool { return o.name == name })
		if at < 0 {
			at, pods = len(pods), append(pods, podOf{name: name})
		}
		pods[at].services = append(pods[at].services, v)
	}
	return pods
}

// podName returns the name of a service's Deployment. Plans of earlier versions have a
// Deployment for each service.
func (v *Service) podName() string { return cmp.Or(v.Pod, v.Name) }

func (p podOf) units() string {
	var names []string
	for _, v := range p.services {
		names = append(names, v.Unit)
	}
	return strings.Join(names, ", ")
}

// oneLine replaces line breaks and all other characters with which text of a
// server could leave the comment that it is written into.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

func deployment(p *Plan, pod podOf, o ManifestOptions) object {
	labels := object{"app": pod.name}
	spec := object{
		"replicas": 1,
		"selector": object{"matchLabels": labels},
		"template": object{"metadata": object{"labels": labels}, "spec": podSpec(p, pod, o)},
	}
	if slices.ContainsFunc(pod.services, func(v *Service) bool { return len(v.Data) > 0 }) {
		spec["strategy"] = object{"type": "Recreate"} // a rolling update would let two pods write the same data
	}
	return object{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": object{"name": pod.name, "labels": labels}, "spec": spec}
}

func podSpec(p *Plan, pod podOf, o ManifestOptions) object {
	var containers, volumes []object
	var groups []uint32
	security, usesSignal := object{}, false
	for _, v := range pod.services {
		c := container(v, o)
		own, mounts := volumesOf(v, pod, o)
		if len(mounts) > 0 {
			c["volumeMounts"] = mounts
		}
		for _, volume := range own {
			if !slices.ContainsFunc(volumes, func(o object) bool { return o["name"] == volume["name"] }) {
				volumes = append(volumes, volume)
			}
		}
		containers, groups = append(containers, c), append(groups, v.Groups...)
		// Files of a Secret belong to root and to this group, of which each container of
		// the pod is a member.
		if v.UID != 0 && len(v.Secrets) > 0 && security["fsGroup"] == nil {
			security["fsGroup"] = v.GID
		}
		usesSignal = usesSignal || v.StopSignal != ""
	}
	// Service links are variables such as REDIS_PORT, which the program did not
	// have on the server and may take for its own.
	spec := object{"containers": containers, "enableServiceLinks": false}
	if first := socketContainers(pod, o); len(first) > 0 {
		spec["initContainers"] = first
	}
	if len(volumes) > 0 {
		spec["volumes"] = volumes
	}
	if slices.Sort(groups); len(groups) > 0 {
		security["supplementalGroups"] = slices.Compact(groups)
	}
	if len(security) > 0 {
		spec["securityContext"] = security
	}
	if usesSignal {
		spec["os"] = object{"name": "linux"} // Kubernetes refuses a stopSignal without it
	}
	return spec
}

// socketContainers returns an init container for each directory of sockets. It gives the
// volume the owner, the mode and the content that the directory has in the image.
func socketContainers(pod podOf, o ManifestOptions) []object {
	var list []object
	for _, dir := range pod.socketDirs() {
		name := VolumeName(dir)
		list = append(list, object{
			"name": labelOf("sockets-" + name), "image": o.Image, "imagePullPolicy": "IfNotPresent",
			"command":         []string{"/bin/cp", "-a", strings.ReplaceAll(dir, "$(", "$$(") + "/.", "/mnt"},
			"securityContext": object{"runAsUser": 0},
			"volumeMounts":    []object{{"name": name, "mountPath": "/mnt"}},
		})
	}
	return list
}

func (p podOf) socketDirs() []string {
	var dirs []string
	for _, v := range p.services {
		for _, dir := range v.Sockets {
			dirs = withPath(dirs, dir)
		}
	}
	return dirs
}

func container(v *Service, o ManifestOptions) object {
	c := object{"name": v.Name, "image": o.Image, "imagePullPolicy": "IfNotPresent", "command": escaped(v.Command, v.Env)}
	if v.WorkingDir != "" {
		c["workingDir"] = v.WorkingDir
	}
	if v.UID != 0 || v.GID != 0 {
		c["securityContext"] = object{"runAsUser": v.UID, "runAsGroup": v.GID}
	}
	if v.StopSignal != "" {
		c["lifecycle"] = object{"stopSignal": v.StopSignal}
	}
	var env []object
	for _, e := range v.Env {
		if e.File == "" {
			env = append(env, object{"name": e.Name, "value": strings.ReplaceAll(e.Value, "$(", "$$(")})
			continue
		}
		ref := object{"name": SecretName(v), "key": envKey(e.Name)}
		env = append(env, object{"name": e.Name, "valueFrom": object{"secretKeyRef": ref}})
	}
	if len(env) > 0 {
		c["env"] = env
	}
	var ports []object
	for _, port := range v.Ports {
		if port.Local {
			continue // nothing outside of the pod can connect to it
		}
		ports = append(ports, object{"name": portName(port), "containerPort": port.Number, "protocol": strings.ToUpper(port.Protocol)})
	}
	if len(ports) > 0 {
		c["ports"] = ports
	}
	return c
}

// escaped protects words from Kubernetes' expansion of $(NAME), except for the
// secret variables that substitute put in.
func escaped(words []string, env []Variable) []string {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = strings.ReplaceAll(w, "$(", "$$(")
		for _, e := range env {
			if e.File != "" {
				list[i] = strings.ReplaceAll(list[i], "$$("+e.Name+")", "$("+e.Name+")")
			}
		}
	}
	return list
}

// volumesOf returns the volumes of a service and where its container mounts them.
func volumesOf(v *Service, pod podOf, o ManifestOptions) (volumes, mounts []object) {
	for _, dir := range slices.Concat(v.Data, v.Sockets) {
		volume := object{"name": VolumeName(dir), "emptyDir": object{}}
		if o.DataDir != "" && slices.Contains(v.Data, dir) {
			volume = object{"name": VolumeName(dir), "hostPath": object{"path": path.Join(o.DataDir, VolumeName(dir)), "type": "Directory"}}
		}
		volumes = append(volumes, volume)
		mounts = append(mounts, object{"name": VolumeName(dir), "mountPath": dir})
	}
	if len(v.Secrets) == 0 {
		return volumes, mounts
	}
	mode, name := 0o400, "secrets"
	if v.UID != 0 {
		mode = 0o440
	}
	if len(pod.services) > 1 {
		name = SecretName(v)
	}
	volumes = append(volumes, object{"name": name, "secret": object{"secretName": SecretName(v), "defaultMode": mode}})
	for _, file := range v.Secrets {
		mounts = append(mounts, object{"name": name, "mountPath": file, "subPath": fileKey(file), "readOnly": true})
	}
	return volumes, mounts
}

// serviceObject returns the Kubernetes Service for the ports of a service, nil if
// no other pod can reach any of them.
func serviceObject(v *Service) object {
	var ports []object
	seen := map[uint16]bool{}
	for _, port := range v.Ports {
		if port.Local || seen[port.Number] && port.Protocol == "udp" {
			continue
		}
		seen[port.Number] = true
		ports = append(ports, object{"name": portName(port), "port": port.Number, "protocol": strings.ToUpper(port.Protocol)})
	}
	if len(ports) == 0 {
		return nil
	}
	return object{
		"apiVersion": "v1", "kind": "Service", "metadata": object{"name": v.Name},
		"spec": object{"selector": object{"app": v.podName()}, "ports": ports},
	}
}

func portName(p Port) string { return p.Protocol + "-" + strconv.Itoa(int(p.Number)) }

// SecretName returns the name of the Secret that a service reads.
func SecretName(v *Service) string { return v.Name + "-secrets" }

// VolumeName returns the name of a data directory's volume: a DNS label that is
// unique to the directory.
func VolumeName(dir string) string {
	// Without a digest only if the name leads back to the directory: /srv/a-b and
	// /srv/a/b would otherwise share a volume.
	name := labelOf(strings.Trim(dir, "/"))
	if "/"+strings.ReplaceAll(name, "-", "/") == dir {
		return name
	}
	return name + "-" + shortDigest(dir)
}

// invalidKeyChars matches the characters that a key of a Secret may not have.
var invalidKeyChars = regexp.MustCompile(`[^A-Za-z0-9._-]`)

// fileKey returns the key of a file in a Secret, which is unique to the file.
func fileKey(file string) string {
	key := invalidKeyChars.ReplaceAllString(strings.Trim(file, "/"), "_")
	return key[max(0, len(key)-200):] + "." + shortDigest(file)
}

func envKey(name string) string { return "env." + name }

// hasSecrets reports whether a service needs a Secret.
func (v *Service) hasSecrets() bool {
	return len(v.Secrets) > 0 || slices.ContainsFunc(v.Env, func(e Variable) bool { return e.File != "" })
}
