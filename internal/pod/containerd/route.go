package containerd

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math/bits"
	"net/netip"
	"os"
	"strings"
)

// routes reads the destinations of IPv4 routes from a file in the format of
// /proc/net/route, except those through one interface and the default route.
func routes(path, without string) ([]netip.Prefix, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseRoutes(f, without)
}

// parseRoutes parses /proc/net/route: a header line, and then a line for each
// route with the fields interface, destination, gateway, flags, …, mask (the
// eighth). Addresses are hexadecimal words in this machine's byte order.
func parseRoutes(r io.Reader, without string) ([]netip.Prefix, error) {
	var found []netip.Prefix
	lines := bufio.NewScanner(r)
	lines.Scan()
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 8 {
			return nil, fmt.Errorf("route %q: want 8 fields", lines.Text())
		}
		destination, err1 := hexWord(fields[1])
		mask, err2 := hexWord(fields[7])
		if err1 != nil || err2 != nil {
			return nil, fmt.Errorf("route %q: cannot read its addresses", lines.Text())
		}
		ones := bits.LeadingZeros32(^binary.BigEndian.Uint32(mask[:]))
		if fields[0] == without || ones == 0 { // the default route overlaps every subnet
			continue
		}
		found = append(found, netip.PrefixFrom(netip.AddrFrom4(destination), ones).Masked())
	}
	return found, lines.Err()
}

// hexWord converts a hexadecimal word to an address in network byte order.
func hexWord(s string) (addr [4]byte, err error) {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != 4 {
		return addr, fmt.Errorf("address %q", s)
	}
	binary.NativeEndian.PutUint32(addr[:], binary.BigEndian.Uint32(raw))
	return addr, nil
}
