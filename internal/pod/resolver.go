package pod

import (
	"bufio"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/adamant-sh/adamant/internal/pod/translate"
)

// machineResolver reads the machine's resolver configuration. A pod cannot reach
// a local stub such as systemd-resolved, so that the servers to which the stub
// forwards are used instead.
func machineResolver() translate.Resolver {
	r := readResolver("/etc/resolv.conf")
	if len(r.Servers) > 0 && !slices.ContainsFunc(r.Servers, isLoopback) {
		return r
	}
	if behind := readResolver("/run/systemd/resolve/resolv.conf"); len(behind.Servers) > 0 {
		return behind
	}
	return r
}

func isLoopback(server string) bool {
	a, err := netip.ParseAddr(server)
	return err == nil && a.IsLoopback()
}

func readResolver(path string) translate.Resolver {
	f, err := os.Open(path)
	if err != nil {
		return translate.Resolver{}
	}
	defer f.Close()
	var r translate.Resolver
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			r.Servers = append(r.Servers, fields[1])
		case "search", "domain":
			r.Searches = fields[1:]
		case "options":
			r.Options = append(r.Options, fields[1:]...)
		}
	}
	return r
}
