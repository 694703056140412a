package pod

import (
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// suffixAlphabet is Kubernetes' alphabet for generated names: no vowels and
// nothing that looks like another character, so that no word appears.
const suffixAlphabet = "bcdfghjklmnpqrstvwxz2456789"

// InstanceName names the one pod of a workload as its controller would: a Pod
// keeps its name, a StatefulSet's pod is number 0, all others get five random
// characters. A CronJob's pod is that of one Job of it.
func InstanceName(kind, name string) string {
	switch strings.ToLower(kind) {
	case "", "pod":
		return name
	case "statefulset":
		return name + "-0"
	default:
		return translate.TruncateName(name, translate.MaxNameLength-6) + "-" + randomSuffix(5)
	}
}

func randomSuffix(n int) string {
	buf := make([]byte, n)
	rand.Read(buf) // never fails on Linux
	for i, b := range buf {
		buf[i] = suffixAlphabet[int(b)%len(suffixAlphabet)]
	}
	return string(buf)
}

// newUID returns a random UUID (RFC 9562, version 4).
func newUID() string {
	var u [16]byte
	rand.Read(u[:]) // never fails on Linux
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
