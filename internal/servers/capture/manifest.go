package capture

import (
	"bytes"
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

// Manifest writes the services as Kubernetes objects: for each a Deployment of one
// replica, and a Service if it listens for others. Services that read secrets also
// need the objects of SecretManifest.
func Manifest(p Plan, o ManifestOptions) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# What ran on a server with %s, captured by adamant.\n", oneLine(p.Release))
	for _, v := range p.Services {
		objects := []object{deployment(&p, &v, o)}
		if s := serviceObject(&v); s != nil {
			objects = append(objects, s)
		}
		for _, obj := range objects {
			text, err := yaml.Marshal(obj)
			if err != nil {
				return nil, fmt.Errorf("write manifest of %s: %w", v.Unit, err)
			}
			fmt.Fprintf(&b, "---\n# %s\n%s", oneLine(v.Unit), text)
		}
	}
	return b.Bytes(), nil
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

func deployment(p *Plan, v *Service, o ManifestOptions) object {
	labels := object{"app": v.Name}
	spec := object{
		"replicas": 1,
		"selector": object{"matchLabels": labels},
		"template": object{"metadata": object{"labels": labels}, "spec": podSpec(p, v, o)},
	}
	if len(v.Data) > 0 { // a rolling update would let two pods write the same data
		spec["strategy"] = object{"type": "Recreate"}
	}
	return object{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": object{"name": v.Name, "labels": labels}, "spec": spec}
}

func podSpec(p *Plan, v *Service, o ManifestOptions) object {
	volumes, mounts := volumesOf(p, v, o)
	c := container(v, o)
	// Service links are variables such as REDIS_PORT, which the program did not
	// have on the server and may take for its own.
	pod := object{"containers": []object{c}, "enableServiceLinks": false}
	if len(volumes) > 0 {
		pod["volumes"], c["volumeMounts"] = volumes, mounts
	}
	security := object{}
	if len(v.Groups) > 0 {
		security["supplementalGroups"] = v.Groups
	}
	if v.UID != 0 && len(v.Secrets) > 0 {
		security["fsGroup"] = v.GID // files of a Secret belong to root and to this group
	}
	if len(security) > 0 {
		pod["securityContext"] = security
	}
	if v.StopSignal != "" {
		pod["os"] = object{"name": "linux"} // Kubernetes refuses a stopSignal without it
	}
	return pod
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

func volumesOf(p *Plan, v *Service, o ManifestOptions) (volumes, mounts []object) {
	for _, dir := range v.Data {
		volume := object{"name": VolumeName(dir), "emptyDir": object{}}
		if o.DataDir != "" {
			volume = object{"name": VolumeName(dir), "hostPath": object{"path": path.Join(o.DataDir, VolumeName(dir)), "type": "Directory"}}
		}
		volumes = append(volumes, volume)
		mounts = append(mounts, object{"name": VolumeName(dir), "mountPath": dir})
	}
	if len(v.Secrets) == 0 {
		return volumes, mounts
	}
	mode := 0o400
	if v.UID != 0 {
		mode = 0o440
	}
	volumes = append(volumes, object{"name": "secrets", "secret": object{"secretName": SecretName(v), "defaultMode": mode}})
	for _, file := range v.Secrets {
		mounts = append(mounts, object{"name": "secrets", "mountPath": file, "subPath": fileKey(file), "readOnly": true})
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
		"spec": object{"selector": object{"app": v.Name}, "ports": ports},
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
