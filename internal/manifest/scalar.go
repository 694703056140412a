package manifest

import (
	"encoding/base64"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// scalar returns the value of a scalar: nil, bool, int64, uint64, float64 or
// string. Plain scalars have the same meaning as in kubectl, which parses YAML
// 1.1: yes and on are booleans and 0644 is octal.
func (n *node) scalar() (any, error) {
	switch n.tag {
	case "":
		if n.style != plainStyle {
			return n.text, nil
		}
		return resolvePlain(n.text), nil
	case "!!str", "!":
		return n.text, nil
	case "!!binary":
		data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(n.text), ""))
		if err != nil {
			return nil, fmt.Errorf("!!binary is not base64")
		}
		return string(data), nil
	case "!!null", "!!bool", "!!int", "!!float", "!!timestamp":
		return tagged(n.tag, n.text)
	}
	return nil, fmt.Errorf("unknown tag %s", n.tag)
}

func tagged(tag, text string) (any, error) {
	value := resolvePlain(text)
	ok := false
	switch v := value.(type) {
	case nil:
		ok = tag == "!!null"
	case bool:
		ok = tag == "!!bool"
	case int64:
		ok = tag == "!!int" || tag == "!!float"
		if tag == "!!float" {
			value = float64(v)
		}
	case uint64:
		ok = tag == "!!int"
	case float64:
		ok = tag == "!!float"
	case string:
		ok = tag == "!!timestamp"
	}
	if !ok {
		return nil, fmt.Errorf("%q is not a %s", text, tag)
	}
	return value, nil
}

var floatPattern = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)

// resolvePlain returns the YAML 1.1 value of a plain scalar.
func resolvePlain(text string) any {
	switch text {
	case "", "~", "null", "Null", "NULL":
		return nil
	case "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON":
		return true
	case "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF":
		return false
	case ".nan", ".NaN", ".NAN":
		return math.NaN()
	case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF":
		return math.Inf(1)
	case "-.inf", "-.Inf", "-.INF":
		return math.Inf(-1)
	}
	if !strings.ContainsRune("+-.0123456789", rune(text[0])) {
		return text
	}
	return resolveNumber(text)
}

func resolveNumber(text string) any {
	if text[0] == '.' {
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return f
		}
		return text
	}
	plain := strings.ReplaceAll(text, "_", "")
	if plain == "" {
		return text
	}
	if i, err := strconv.ParseInt(plain, 0, 64); err == nil {
		return i
	}
	if u, err := strconv.ParseUint(plain, 0, 64); err == nil {
		return u
	}
	if floatPattern.MatchString(plain) {
		if f, err := strconv.ParseFloat(plain, 64); err == nil {
			return f
		}
	}
	return text
}

// keyName returns a mapping key as the string that Kubernetes reads, where
// every key is a string.
func (n *node) keyName() string {
	n = n.resolved()
	if n.kind != scalarNode {
		return ""
	}
	if n.tag == "" && (n.style != plainStyle || isWord(n.text)) {
		return n.text // nearly all keys are; an any would be allocated
	}
	value, err := n.scalar()
	if err != nil {
		return n.text
	}
	switch v := value.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case float64:
		return formatFloatKey(v)
	}
	return n.text
}

// isWord reports whether a plain scalar is certainly text. All words with another
// meaning are short and begin with one of a few letters.
func isWord(s string) bool {
	if s == "" {
		return false
	}
	first := s[0] | 0x20
	return first >= 'a' && first <= 'z' && (len(s) > len("false") || !strings.ContainsRune("yntfo", rune(first)))
}

func formatFloatKey(v float64) string {
	// The size of 32 bits is that of sigs.k8s.io/yaml, with which kubectl
	// converts keys.
	switch s := strconv.FormatFloat(v, 'g', -1, 32); s {
	case "+Inf":
		return ".inf"
	case "-Inf":
		return "-.inf"
	case "NaN":
		return ".nan"
	default:
		return s
	}
}
