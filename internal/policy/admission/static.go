package admission

import (
	"bytes"
	"fmt"
	"path"

	"go.yaml.in/yaml/v3"

	"github.com/adamant-sh/adamant/internal/policy"
)

// A File is a file in a directory that an API server reads.
type File struct {
	Name string // relative, with slashes
	Data []byte
}

// StaticFiles returns the files from which an API server reads policies at its start, and
// again when they change. The directory will be at a path on its machine. The configuration
// is not beside the policies, because an API server refuses whatever else is there.
func StaticFiles(at string, opts Options) ([]File, error) {
	if !path.IsAbs(at) {
		return nil, fmt.Errorf("%q is not an absolute path", at)
	}
	mutating, err := MutatingPolicies(opts)
	if err != nil {
		return nil, err
	}
	var files []File
	var plugins []plugin
	for _, one := range []struct {
		dir, plugin string
		comments    []string
		objects     []Object
	}{
		{"validating", "ValidatingAdmissionPolicy", Limits(opts.Rules), Policies(opts)},
		{"mutating", "MutatingAdmissionPolicy", MutatingLimits, mutating},
	} {
		if len(one.objects) == 0 {
			continue
		}
		var b bytes.Buffer
		if err := Write(&b, one.comments, one.objects); err != nil {
			return nil, err
		}
		files = append(files, File{one.dir + "/adamant.yaml", b.Bytes()})
		plugins = append(plugins, plugin{one.plugin, pluginConfiguration{configVersion, one.plugin + "Configuration", path.Join(at, one.dir)}})
	}
	config, err := yaml.Marshal(configuration{configVersion, "AdmissionConfiguration", plugins})
	if err != nil {
		return nil, err
	}
	return append(files, File{"admission.yaml", append([]byte(configComment), config...)}), nil
}

const configVersion = "apiserver.config.k8s.io/v1"

const configComment = `# Start kube-apiserver (1.37 or newer) with --admission-control-config-file and the path of this file.
`

type configuration struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Plugins    []plugin `yaml:"plugins"`
}

type plugin struct {
	Name          string              `yaml:"name"`
	Configuration pluginConfiguration `yaml:"configuration"`
}

type pluginConfiguration struct {
	APIVersion         string `yaml:"apiVersion"`
	Kind               string `yaml:"kind"`
	StaticManifestsDir string `yaml:"staticManifestsDir"`
}

// Written returns the rules that have a policy.
func Written(rules []policy.Rule) []policy.Rule {
	var out []policy.Rule
	for _, r := range rules {
		if r.CEL.Impossible == "" {
			out = append(out, r)
		}
	}
	return out
}
