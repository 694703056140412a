package names

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	machineResolvers = "/etc/resolv.conf"
	// forwardLimit is the time for the answer to one question, of all servers together. It
	// is shorter than the 5 seconds after which a client asks again.
	forwardLimit  = 4 * time.Second
	exchangeLimit = 2 * time.Second // for the answer of one server
	maxServers    = 3               // MAXNS of resolv.conf(5)
)

// errNoServer is returned on a machine without resolvers.
var errNoServer = errors.New("this machine has no name server")

// An upstream is the resolvers of the machine.
type upstream struct {
	path  string
	limit time.Duration // forwardLimit

	mu      sync.Mutex
	read    os.FileInfo // when servers were read
	servers []string    // host:port
}

func newUpstream(path string) *upstream {
	if path == "" {
		path = machineResolvers
	}
	return &upstream{path: path, limit: forwardLimit}
}

// current returns the servers of the file, which is read again after each change: a
// machine may join another network.
func (u *upstream) current() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	info, err := os.Stat(u.path)
	if err != nil {
		return nil
	}
	if u.read != nil && os.SameFile(u.read, info) && u.read.ModTime().Equal(info.ModTime()) && u.read.Size() == info.Size() {
		return u.servers
	}
	c, err := dns.ClientConfigFromFile(u.path)
	if err != nil {
		return nil
	}
	u.read, u.servers = info, nil
	for _, host := range c.Servers[:min(len(c.Servers), maxServers)] {
		server := net.JoinHostPort(host, c.Port)
		if _, port, err := net.SplitHostPort(host); err == nil && port != "" {
			server = host // tests name a port
		}
		u.servers = append(u.servers, server)
	}
	return slices.Clip(u.servers)
}

// exchange asks the servers in order and returns the first answer. Servers that do not
// answer leave the others their share of the time.
func (u *upstream) exchange(q *dns.Msg, isTCP bool) (*dns.Msg, error) {
	err := errNoServer
	ctx, cancel := context.WithTimeout(context.Background(), u.limit)
	defer cancel()
	end, _ := ctx.Deadline()
	servers := u.current()
	for i, server := range servers {
		share := time.Until(end) / time.Duration(len(servers)-i)
		var m *dns.Msg
		if m, err = ask(ctx, server, min(share, exchangeLimit), q, isTCP); err == nil {
			return m, nil
		}
	}
	return nil, err
}

// ask asks one server, with an ID of its own.
func ask(ctx context.Context, server string, limit time.Duration, q *dns.Msg, isTCP bool) (*dns.Msg, error) {
	own := q.Copy()
	own.Id = dns.Id()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c := dns.Client{Timeout: limit, UDPSize: 4096}
	m, _, err := c.ExchangeContext(ctx, own, server)
	if err == nil && m.Truncated && isTCP {
		c.Net = "tcp"
		m, _, err = c.ExchangeContext(ctx, own, server)
	}
	if err != nil {
		return nil, err
	}
	if len(m.Question) != 1 || m.Question[0] != q.Question[0] {
		return nil, errors.New("the answer is to another question")
	}
	m.Id = q.Id
	return m, nil
}
