package admission

import (
	"fmt"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// A Selector selects objects by their labels.
type Selector struct {
	MatchExpressions []requirement `yaml:"matchExpressions"`
}

type requirement struct {
	Key      string   `yaml:"key"`
	Operator string   `yaml:"operator"`
	Values   []string `yaml:"values,omitempty,flow"`
}

// ParseSelector reads a selector as kubectl does, such as "env=prod,team notin (a, b)". It
// returns nil for an empty one, which selects everything.
func ParseSelector(text string) (*Selector, error) {
	parsed, err := labels.Parse(text)
	if err != nil {
		return nil, err
	}
	requirements, _ := parsed.Requirements()
	if len(requirements) == 0 {
		return nil, nil
	}
	s := &Selector{}
	for _, r := range requirements {
		operator, ok := operators[r.Operator()]
		if !ok {
			return nil, fmt.Errorf("an API server cannot compare %s by %q", r.Key(), r.Operator())
		}
		s.MatchExpressions = append(s.MatchExpressions, requirement{r.Key(), operator, r.Values().List()})
	}
	return s, nil
}

var operators = map[selection.Operator]string{
	selection.Equals: "In", selection.DoubleEquals: "In", selection.In: "In",
	selection.NotEquals: "NotIn", selection.NotIn: "NotIn",
	selection.Exists: "Exists", selection.DoesNotExist: "DoesNotExist",
}
