package inventory

import (
	"math/big"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The plain scalars that are integers and floats in YAML 1.1, which Ansible's parser reads.
var (
	yamlInt    = regexp.MustCompile(`^[-+]?(?:0b[0-1_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)$`)
	yamlBase60 = regexp.MustCompile(`^[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+$`)
	yamlFloat  = regexp.MustCompile(`^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?)$`)
)

// pythonText returns a scalar as Ansible prints it. isNull is true for null.
func pythonText(n *yaml.Node) (text string, isNull bool) {
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 || n.Style&yaml.TaggedStyle != 0 {
		return n.Value, false
	}
	switch n.Value {
	case "", "~", "null", "Null", "NULL":
		return "", true
	case "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON":
		return "True", false
	case "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF":
		return "False", false
	}
	switch digits := strings.ReplaceAll(n.Value, "_", ""); {
	case len(digits) > maxName:
	case yamlInt.MatchString(n.Value):
		return yamlInteger(digits), false
	case yamlBase60.MatchString(n.Value):
		return base60(digits), false
	case yamlFloat.MatchString(n.Value):
		return canonicalFloat(digits), false
	}
	return n.Value, false
}

// isPythonText reports whether a scalar is a text to Ansible, and not a number or another
// value.
func isPythonText(n *yaml.Node) bool {
	if n.Style != 0 {
		return true
	}
	text, isNull := pythonText(n)
	isOther := yamlInt.MatchString(n.Value) || yamlBase60.MatchString(n.Value) || yamlFloat.MatchString(n.Value)
	return !isNull && !isOther && text == n.Value
}

// yamlInteger returns the decimal digits of an integer, which is octal with a leading zero.
func yamlInteger(text string) string {
	if n, ok := new(big.Int).SetString(strings.TrimPrefix(text, "+"), 0); ok {
		return n.String()
	}
	return text
}

// base60 returns the decimal digits of an integer such as 1:30.
func base60(text string) string {
	unsigned := strings.TrimLeft(text, "+-")
	total := new(big.Int)
	for part := range strings.SplitSeq(unsigned, ":") {
		n, ok := new(big.Int).SetString(part, 10)
		if !ok {
			return text
		}
		total.Add(total.Mul(total, big.NewInt(60)), n)
	}
	if text[0] == '-' {
		total.Neg(total)
	}
	return total.String()
}
