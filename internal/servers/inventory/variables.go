package inventory

import (
	"slices"
	"strconv"
	"strings"
)

// The variables of Ansible about connections. Of several names for one setting the last
// one that is set wins, as in Ansible's plugins.
var (
	varsHost       = []string{"ansible_host", "ansible_ssh_host"}
	varsPort       = []string{"ansible_port", "ansible_ssh_port"}
	varsUser       = []string{"ansible_user", "ansible_ssh_user"}
	varsPassword   = []string{"ansible_password", "ansible_ssh_pass", "ansible_ssh_password"}
	varsKey        = []string{"ansible_private_key_file", "ansible_ssh_private_key_file"}
	varsTimeout    = []string{"ansible_timeout", "ansible_ssh_timeout"}
	varsConnection = []string{"ansible_connection"}
	varsKeyCheck   = []string{"ansible_host_key_checking", "ansible_ssh_host_key_checking"}
	varsArgs       = []string{"ansible_ssh_args"}
	varsCommon     = []string{"ansible_ssh_common_args"}
	varsExtra      = []string{"ansible_ssh_extra_args"}
	varsBecome     = []string{"ansible_become"}
	varsMethod     = []string{"ansible_become_method"}
	varsBecomeUser = []string{"ansible_become_user", "ansible_sudo_user"}
	varsBecomePass = []string{"ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"}
)

const varPriority = "ansible_group_priority"

// connectionVariables are all supported variables.
var connectionVariables = slices.Concat(varsHost, varsPort, varsUser, varsPassword, varsKey, varsTimeout, varsConnection,
	varsKeyCheck, varsArgs, varsCommon, varsExtra, varsBecome, varsMethod, varsBecomeUser, varsBecomePass,
	[]string{varPriority})

func isConnectionVariable(name string) bool { return slices.Contains(connectionVariables, name) }

// A variable is a value in its original text, with its origin.
type variable struct {
	name    string
	text    string
	from    Origin
	refused string // why the value cannot be known; empty if it can
	hint    string
	isNull  bool // unsets the variable of a lower precedence
}

type variables map[string]variable

// add adds layers. Later ones override earlier ones.
func (v variables) add(layers ...variables) {
	for _, layer := range layers {
		for name, value := range layer {
			v[name] = value
		}
	}
}

// set stores a value if it is about connections. A value that cannot be known is stored
// as refused, so that only hosts that use it fail.
func (v variables) set(name, text string, from Origin) {
	if !isConnectionVariable(name) {
		return
	}
	value := variable{name: name, text: text, from: from}
	if strings.Contains(text, "{{") || strings.Contains(text, "{%") {
		value.refuse("is a template, and none are evaluated", "write the value itself, or what `ansible-inventory --list --yaml` makes of it")
	}
	if strings.HasPrefix(strings.TrimSpace(text), "$ANSIBLE_VAULT") {
		value.refuse("is in a vault, and none are opened", "keep the value in a file that only you can read")
	}
	v[name] = value
}

func (v *variable) refuse(why, hint string) { v.refused, v.hint, v.text = why, hint, "" }

// last returns the last of several names of one setting that is set.
func (v variables) last(names []string) (variable, bool, error) {
	for _, name := range slices.Backward(names) {
		value, ok := v[name]
		if !ok || value.isNull {
			continue
		}
		if value.refused != "" {
			return value, true, fail(value.from, value.hint, "%s %s", name, value.refused)
		}
		return value, true, nil
	}
	return variable{}, false, nil
}

// truth parses a boolean as Ansible does.
func (v variable) truth() (bool, error) {
	switch strings.ToLower(strings.TrimSpace(v.text)) {
	case "yes", "on", "true", "y", "t", "1", "1.0":
		return true, nil
	case "no", "off", "false", "n", "f", "0", "0.0":
		return false, nil
	}
	return false, fail(v.from, "write true or false", "%s: %q is no boolean", v.name, v.text)
}

// withPort adds the port that follows a host's name.
func (v variables) withPort(port int, from Origin) variables {
	v.set(varsPort[0], strconv.Itoa(port), from)
	return v
}

// setLiteral stores a value of an INI inventory.
func (v variables) setLiteral(name, text string, from Origin) {
	if !isConnectionVariable(name) {
		return
	}
	value, kind := pythonLiteral(text)
	switch kind {
	case literalNone:
		v[name] = variable{name: name, from: from, isNull: true}
	case literalOther:
		refused := variable{name: name, from: from}
		refused.refuse("is a list, a mapping or another value of Python", "write one value")
		v[name] = refused
	default:
		v.set(name, value, from)
	}
}
