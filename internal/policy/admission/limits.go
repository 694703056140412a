package admission

import (
	"maps"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/policy"
)

// general are the differences between all policies and check.
var general = []string{
	"Pods in custom resources are checked when the pods are created, because a policy cannot look for pods at any place.",
	"Exceptions and baselines do not apply. Leave namespaces out instead.",
	"Updates that keep the pod pass, so that controllers can go on with what was there before. Of a container that is added to a running pod only that is checked.",
	"An API server drops misspelled fields before policies see an object: they count as missing.",
	"What the API server itself writes passes.",
}

// Limits returns what the policies of rules do not decide as check does, a sentence each,
// after a line that says what they are.
func Limits(rules []policy.Rule) []string {
	lines := []string{"The rules of adamant check as admission policies. Their verdicts are those of check, except:"}
	for _, g := range general {
		lines = append(lines, "- "+g)
	}
	impossible := map[string][]string{} // rules by the reason
	for _, r := range rules {
		for _, d := range r.CEL.Differs {
			lines = append(lines, "- "+r.ID+": "+d+".")
		}
		if r.CEL.Impossible != "" {
			impossible[r.CEL.Impossible] = append(impossible[r.CEL.Impossible], r.ID)
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(impossible)) {
		lines = append(lines, "- No policy for "+strings.Join(impossible[reason], ", ")+": "+reason+".")
	}
	return lines
}
