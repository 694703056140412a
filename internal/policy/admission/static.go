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
	var policies bytes.Buffer
	if err := Write(&policies, opts.Rules, Policies(opts)); err != nil {
		return nil, err
	}
	config, err := yaml.Marshal(admissionConfiguration(at))
	if err != nil {
		return nil, err
	}
	return []File{{"validating/adamant.yaml", policies.Bytes()}, {"admission.yaml", append([]byte(configComment), config...)}}, nil
}

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

func admissionConfiguration(at string) configuration {
	const version = "apiserver.config.k8s.io/v1"
	return configuration{version, "AdmissionConfiguration", []plugin{{
		"ValidatingAdmissionPolicy",
		pluginConfiguration{version, "ValidatingAdmissionPolicyConfiguration", path.Join(at, "validating")},
	}}}
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
