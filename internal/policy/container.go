package policy

import (
	"strings"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// RootNotReadOnly is the rule about the root file systems of containers.
const RootNotReadOnly = "root-not-read-only"

const readOnlyField = "readOnlyRootFilesystem"

// rootNotReadOnly reports a container whose root file system can be written, and why: the
// field may be missing, false, misspelled or in a wrong place.
func rootNotReadOnly(c container, r *reporter) {
	if c.pod.windows || c.isHostProcess() {
		return // the field means nothing there
	}
	field := []string{"securityContext", readOnlyField}
	v := c.value.Get(field...)
	if v.IsTrue() {
		return
	}
	if v.IsSet() {
		if value, ok := v.Bool(); ok && !value {
			r.at(field, "the root file system can be written: %s is false", readOnlyField).setTo(true)
		} else {
			r.at(field, "the root file system can be written: %s is %s, which is not a boolean", readOnlyField, v.Describe()).setTo(true)
		}
		return
	}
	if reportMisplaced(c, r) {
		return
	}
	if v.Exists() {
		r.at(field, "the root file system can be written: %s is null, which counts as not set", readOnlyField).setTo(true)
		return
	}
	r.at(field, "the root file system can be written: %s is not set", readOnlyField).setTo(true)
}

// reportMisplaced reports a field that was meant to be readOnlyRootFilesystem.
func reportMisplaced(c container, r *reporter) bool {
	path := joinPath(c.pod.path, c.list) + "[" + itoa(c.index) + "]"
	for name, v := range c.value.Get("securityContext").Entries() {
		if manifest.Resembles(name, readOnlyField) {
			r.add(v, joinPath(path, "securityContext", name), "the root file system can be written: there is no field %s, it is spelled %s", name, readOnlyField)
			return true
		}
	}
	for name, v := range c.value.Entries() {
		switch {
		case name == readOnlyField || manifest.Resembles(name, readOnlyField):
			r.add(v, joinPath(path, name), "the root file system can be written: %s has no effect here, it belongs into securityContext", name)
			return true
		case manifest.Resembles(name, "securityContext") && v.Get(readOnlyField).Exists():
			r.add(v, joinPath(path, name), "the root file system can be written: there is no field %s, it is spelled securityContext", name)
			return true
		}
	}
	if v := c.pod.misplaced; v.Exists() {
		r.add(v, c.pod.misplacedPath, "the root file system can be written: %s has no effect on a pod, it belongs into the securityContext of each container", c.pod.misplacedPath[strings.LastIndexByte(c.pod.misplacedPath, '.')+1:])
		return true
	}
	return false
}

// findMisplaced returns a field of the pod that was meant to be readOnlyRootFilesystem of
// its containers, and its path.
func (p *pod) findMisplaced() (manifest.Value, string) {
	for _, parent := range [][]string{{"securityContext"}, nil} {
		for name, v := range p.spec.Get(parent...).Entries() {
			if name == readOnlyField || manifest.Resembles(name, readOnlyField) {
				return v, joinPath(p.path, append(parent, name)...)
			}
		}
	}
	return manifest.Value{}, ""
}

func privileged(c container, r *reporter) {
	if c.isHostProcess() {
		field := []string{"securityContext", "windowsOptions", "hostProcess"}
		if c.value.Get(field...).IsSet() {
			r.at(field, "it runs as a process of the Windows host")
			return
		}
		r.add(c.pod.spec.Get(field...), joinPath(c.pod.path, field...), "it runs as a process of the Windows host")
		return
	}
	field := []string{"securityContext", "privileged"}
	if !c.pod.windows && c.value.Get(field...).IsTrue() {
		r.at(field, "it is privileged: it can remount its root file system and write to the node's disks").setTo(false)
	}
}

// undoing are the capabilities with which a container can write to what is read-only,
// and how.
var undoing = []struct{ name, how string }{
	{"ALL", "has every capability"},
	{"SYS_ADMIN", "can remount its root file system writable"},
	{"SYS_MODULE", "can load modules into the kernel"},
	{"SYS_RAWIO", "can write to the node's memory and disks"},
	{"SYS_PTRACE", "can change the memory of other users' programs"},
	{"SYS_BOOT", "can start another kernel"},
	{"DAC_READ_SEARCH", "can open files outside of its root by their handles"},
	{"BPF", "can load programs into the kernel"},
	{"MAC_ADMIN", "can change the policy of the security module"},
	{"MAC_OVERRIDE", "can ignore the policy of the security module"},
}

func undoingCapability(c container, r *reporter) {
	if c.pod.windows {
		return
	}
	field := []string{"securityContext", "capabilities", "add"}
	for i, v := range c.value.Get(field...).Items() {
		name := strings.TrimPrefix(strings.ToUpper(v.Scalar()), "CAP_")
		for _, u := range undoing {
			if name == u.name {
				r.add(v, joinPath(r.basePath(), append(field, "["+itoa(i)+"]")...), "with the capability %s it %s", v.Scalar(), u.how).about(u.name)
			}
		}
	}
}

func privilegeEscalation(c container, r *reporter) {
	if c.pod.windows || c.isHostProcess() {
		return
	}
	field := []string{"securityContext", "allowPrivilegeEscalation"}
	v := c.value.Get(field...)
	value, isBool := v.Bool()
	switch {
	case isBool && !value:
	case isBool:
		r.at(field, "a program can gain privileges: allowPrivilegeEscalation is true").setTo(false)
	case v.IsSet():
		r.at(field, "a program can gain privileges: allowPrivilegeEscalation is %s, which is not a boolean", v.Describe()).setTo(false)
	default:
		r.at(field, "a program can gain privileges: allowPrivilegeEscalation is not set").setTo(false)
	}
}

func procUnmasked(c container, r *reporter) {
	field := []string{"securityContext", "procMount"}
	if c.value.Get(field...).Text() == "Unmasked" {
		r.at(field, "/proc is not masked: settings of the kernel below /proc/sys can be written").setTo("Default")
	}
}
