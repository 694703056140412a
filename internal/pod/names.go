package pod

import (
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// suffixAlphabet is Kubernetes' alphabet for generated names. It has no vowels,
// so that no words appear, and no characters that look like others.
const suffixAlphabet = "bcdfghjklmnpqrstvwxz2456789"

// InstanceName returns the name of the only pod of a workload, as its controller
// would choose it. A Pod keeps its name, the pod of a StatefulSet has number 0,
// and all others get five random characters. The pod of a CronJob is named like
// the pod of a Job.
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
