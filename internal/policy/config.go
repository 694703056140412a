package policy

import (
	"fmt"

	"github.com/adamant-sh/adamant/internal/manifest"
)

// ConfigName is the name of the file with the configuration of a folder.
const ConfigName = ".adamant.yaml"

// A Config is the configuration of a folder.
type Config struct {
	File       string
	Exceptions []Exception

	byRule map[string][]*Exception
}

// A selection is the exceptions of configurations that are for one object. They are
// selected when a finding asks for them.
type selection struct {
	configs []*Config
	object  *manifest.Resource
	found   map[string][]*Exception // by rule
}

func newSelection(configs []*Config, o *manifest.Resource) *selection {
	return &selection{configs: configs, object: o}
}

// of returns the exceptions for findings of a rule.
func (s *selection) of(rule string) []*Exception {
	if len(s.configs) == 0 {
		return nil
	}
	list, ok := s.found[rule]
	if ok {
		return list
	}
	for _, c := range s.configs {
		for _, e := range c.byRule[rule] {
			if e.Selector.matchesObject(s.object) {
				list = append(list, e)
			}
		}
	}
	if s.found == nil {
		s.found = map[string][]*Exception{}
	}
	s.found[rule] = list
	return list
}

var _ = fmt.Sprint
