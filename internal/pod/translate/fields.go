package translate

import (
	"cmp"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// fieldValue returns the value of a field of the pod in the downward API.
func fieldValue(s *PodSpec, f Facts, path string) (string, error) {
	if name, key, ok := subscript(path); ok {
		switch name {
		case "metadata.labels":
			return s.Labels[key], nil
		case "metadata.annotations":
			return s.Annotations[key], nil
		}
		return "", fmt.Errorf("field %s is not one the downward API has", path)
	}
	switch path {
	case "metadata.name":
		return s.Name, nil
	case "metadata.namespace":
		return s.Namespace, nil
	case "metadata.uid":
		return f.Layout.UID, nil
	case "metadata.labels":
		return formatMap(s.Labels), nil
	case "metadata.annotations":
		return formatMap(s.Annotations), nil
	case "spec.nodeName":
		return f.Node.Name, nil
	case "spec.serviceAccountName":
		return cmp.Or(s.Spec.ServiceAccountName, "default"), nil
	case "status.hostIP":
		return first(f.Node.IPs), nil
	case "status.hostIPs":
		return strings.Join(f.Node.IPs, ","), nil
	case "status.podIP":
		return first(f.PodIPs), nil
	case "status.podIPs":
		return strings.Join(f.PodIPs, ","), nil
	}
	return "", fmt.Errorf("field %s is not one the downward API has", path)
}

// subscript splits "metadata.labels['app']".
func subscript(path string) (field, key string, ok bool) {
	field, rest, ok := strings.Cut(path, "['")
	if !ok || !strings.HasSuffix(rest, "']") {
		return "", "", false
	}
	return field, strings.TrimSuffix(rest, "']"), true
}

// formatMap formats a map as the downward API does: key="quoted value", sorted.
func formatMap(m map[string]string) string {
	lines := make([]string, 0, len(m))
	for k, v := range m {
		lines = append(lines, k+"="+strconv.Quote(v))
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// resourceValue returns the value of a resource of a container in the downward
// API, divided and rounded up. If a limit is not set, it is the capacity of the
// machine.
func resourceValue(s *PodSpec, f Facts, own *corev1.Container, sel *corev1.ResourceFieldSelector) (string, error) {
	c := own
	if sel.ContainerName != "" {
		found, ok := s.Container(sel.ContainerName)
		if !ok {
			return "", fmt.Errorf("resource %s: no container %q", sel.Resource, sel.ContainerName)
		}
		c = found
	}
	if c == nil {
		return "", fmt.Errorf("resource %s: containerName is required", sel.Resource)
	}
	kind, name, _ := strings.Cut(sel.Resource, ".")
	list := c.Resources.Limits
	if kind == "requests" {
		list = c.Resources.Requests
	} else if kind != "limits" {
		return "", fmt.Errorf("resource %s is not one the downward API has", sel.Resource)
	}
	q, ok := list[corev1.ResourceName(name)]
	if !ok && kind == "limits" {
		q = f.Node.capacity(name)
	}
	return divide(q, sel.Divisor, name == "cpu"), nil
}

func divide(q, divisor resource.Quantity, milli bool) string {
	if divisor.IsZero() {
		divisor = resource.MustParse("1")
	}
	a, b := q.Value(), divisor.Value()
	if milli {
		a, b = q.MilliValue(), divisor.MilliValue()
	}
	return strconv.FormatInt(int64(math.Ceil(float64(a)/float64(b))), 10)
}

func first(s []string) string {
	if len(s) == 0 {
		return ""
	}
	return s[0]
}
