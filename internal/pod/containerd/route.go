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

// routes reads the IPv4 routes that do not leave through the interface
// without, and are not the default route.
func routes(path, without string) ([]netip.Prefix, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseRoutes(f, without)
}

// parseRoutes reads the kernel's table: a head line, then interface,
// destination, gateway, flags, …, mask (eighth), with addresses as words of
// this machine's byte order in hexadecimal.
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
		if fields[0] == without || ones == 0 {
			continue
		}
		found = append(found, netip.PrefixFrom(netip.AddrFrom4(destination), ones).Masked())
	}
	return found, lines.Err()
}

// hexWord reads eight hexadecimal digits as an address in network order.
func hexWord(s string) (addr [4]byte, err error) {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != 4 {
		return addr, fmt.Errorf("address %q", s)
	}
	binary.NativeEndian.PutUint32(addr[:], binary.BigEndian.Uint32(raw))
	return addr, nil
}
