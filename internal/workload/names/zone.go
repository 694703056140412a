package names

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// Domain is the domain of a cluster, in which Services have their names.
const Domain = "cluster.local"

// ttl is how long a client may keep an answer, in seconds. It is short: pods come and
// go, and a headless Service has their addresses.
const ttl = 5

// A Zone is what a Server answers.
type Zone struct {
	Address netip.Addr `json:"address"` // of the Server, which has port 53
	// Clients are the networks that may ask: those of the pods and of this machine's
	// addresses for Services. No other server knows a name of their addresses.
	Clients  []netip.Prefix `json:"clients"`
	Services []Service      `json:"services,omitempty"`
}

// A Service is one whose name is in a Zone.
type Service struct {
	Namespace string     `json:"namespace"`
	Name      string     `json:"name"`
	ClusterIP netip.Addr `json:"clusterIP,omitzero"`  // zero for a headless one
	External  string     `json:"external,omitempty"`  // another name that stands behind it; it has no addresses then
	Ports     []Port     `json:"ports,omitempty"`     // of the ClusterIP
	Endpoints []Endpoint `json:"endpoints,omitempty"` // of a headless one
}

// A Port is a port with a name, which an SRV record has.
type Port struct {
	Name     string `json:"name"`
	Protocol string `json:"protocol"` // "tcp" or "udp"
	Port     uint16 `json:"port"`
}

// An Endpoint is a pod of a headless Service.
type Endpoint struct {
	Address netip.Addr `json:"address"`
	Host    string     `json:"host,omitempty"` // the pod's own name below the Service's; its address with dashes if empty
	Ports   []Port     `json:"ports,omitempty"`
}

// A table has the records of a Zone, by their name in lower case. A name without
// records exists if a name below it does.
type table struct {
	zone  Zone
	names map[string]*records
}

// records are those of one name.
type records struct {
	addresses []netip.Addr
	external  string
	services  []target // SRV
	pointers  []string // PTR
}

// A target is the content of an SRV record.
type target struct {
	host string
	port uint16
}

// newTable returns the records of the DNS specification for Kubernetes
// (https://github.com/kubernetes/dns/blob/master/docs/specification.md).
func newTable(z Zone) *table {
	t := &table{z, map[string]*records{}}
	t.at(dns.Fqdn(Domain))
	t.at("dns-version." + dns.Fqdn(Domain))
	for _, s := range z.Services {
		name := fmt.Sprintf("%s.%s.svc.%s.", s.Name, s.Namespace, Domain)
		own := t.at(name)
		switch {
		case s.External != "":
			own.external = dns.Fqdn(strings.ToLower(s.External))
		case s.ClusterIP.IsValid():
			own.addresses = append(own.addresses, s.ClusterIP)
			t.point(s.ClusterIP, name)
			t.addPorts(name, name, s.Ports)
		}
		for _, e := range s.Endpoints {
			host := e.Host
			if host == "" {
				host = strings.ReplaceAll(e.Address.String(), ".", "-")
			}
			own.addresses = append(own.addresses, e.Address)
			pod := t.at(host + "." + name)
			pod.addresses = append(pod.addresses, e.Address)
			t.point(e.Address, host+"."+name)
			t.addPorts(name, host+"."+name, e.Ports)
		}
	}
	return t
}

// at returns the records of a name, which exists from then on, as do the names above
// it.
func (t *table) at(name string) *records {
	r := t.names[name]
	if r == nil {
		r = &records{}
		t.names[name] = r
		if _, above, _ := strings.Cut(name, "."); above != "" && dns.IsSubDomain(dns.Fqdn(Domain), above) {
			t.at(above)
		}
	}
	return r
}

func (t *table) point(a netip.Addr, name string) {
	reverse, err := dns.ReverseAddr(a.String())
	if err == nil {
		r := t.at(reverse)
		r.pointers = append(r.pointers, name)
	}
}

// addPorts adds the SRV records of a host. Each port is at its own name, such as
// _http._tcp.web.default.svc.cluster.local, and all are at the name of the Service.
func (t *table) addPorts(service, host string, ports []Port) {
	for _, p := range ports {
		names := []string{service}
		if p.Name != "" {
			names = append(names, fmt.Sprintf("_%s._%s.%s", p.Name, p.Protocol, service))
		}
		for _, name := range names {
			r := t.at(name)
			r.services = append(r.services, target{host, p.Port})
		}
	}
}

// owns reports whether no other server knows a name.
func (t *table) owns(name string) bool {
	if dns.IsSubDomain(dns.Fqdn(Domain), name) {
		return true
	}
	a, ok := addressOf(name)
	return ok && t.isClient(a)
}

func (t *table) isClient(a netip.Addr) bool {
	for _, p := range t.zone.Clients {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// addressOf returns the address of a name such as 4.3.2.1.in-addr.arpa.
func addressOf(name string) (netip.Addr, bool) {
	reverse, ok := strings.CutSuffix(name, ".in-addr.arpa.")
	if !ok {
		return netip.Addr{}, false
	}
	part := strings.Split(reverse, ".")
	if len(part) != 4 {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(part[3] + "." + part[2] + "." + part[1] + "." + part[0])
	return a, err == nil
}

// answer sets the answer to a question about a name that the table owns. It returns
// the name that must be looked up elsewhere, if the answer leads there.
func (t *table) answer(m *dns.Msg, q dns.Question) (elsewhere string) {
	name := strings.ToLower(q.Name)
	m.Authoritative = true
	head := func(kind uint16) dns.RR_Header {
		return dns.RR_Header{Name: q.Name, Rrtype: kind, Class: dns.ClassINET, Ttl: ttl}
	}
	r := t.names[name]
	switch {
	case r == nil:
		m.Rcode = dns.RcodeNameError
	case r.external != "":
		m.Answer = append(m.Answer, &dns.CNAME{Hdr: head(dns.TypeCNAME), Target: r.external})
		if q.Qtype == dns.TypeA || q.Qtype == dns.TypeAAAA {
			return r.external
		}
		return ""
	case q.Qtype == dns.TypeA:
		for _, i := range rand.Perm(len(r.addresses)) { // clients take the first one
			m.Answer = append(m.Answer, &dns.A{Hdr: head(dns.TypeA), A: r.addresses[i].AsSlice()})
		}
	case q.Qtype == dns.TypeSRV:
		for _, s := range r.services {
			m.Answer = append(m.Answer, &dns.SRV{Hdr: head(dns.TypeSRV), Weight: 100, Port: s.port, Target: s.host})
			t.addGlue(m, s.host)
		}
	case q.Qtype == dns.TypePTR:
		for _, p := range r.pointers {
			m.Answer = append(m.Answer, &dns.PTR{Hdr: head(dns.TypePTR), Ptr: p})
		}
	case q.Qtype == dns.TypeTXT && name == "dns-version."+dns.Fqdn(Domain):
		m.Answer = append(m.Answer, &dns.TXT{Hdr: head(dns.TypeTXT), Txt: []string{"1.1.0"}})
	}
	if len(m.Answer) == 0 {
		m.Ns = []dns.RR{soa(name)}
	}
	return ""
}

// addGlue adds the addresses of an SRV record's host.
func (t *table) addGlue(m *dns.Msg, host string) {
	for _, a := range t.names[host].addresses {
		m.Extra = append(m.Extra, &dns.A{Hdr: dns.RR_Header{Name: host, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: ttl}, A: a.AsSlice()})
	}
}

// soa returns the record that a negative answer needs (RFC 2308), so that clients keep
// it for a short time only.
func soa(name string) dns.RR {
	zone := dns.Fqdn(Domain)
	if !dns.IsSubDomain(zone, name) {
		zone = "in-addr.arpa."
	}
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: ttl},
		Ns:  "ns.dns." + dns.Fqdn(Domain), Mbox: "hostmaster." + dns.Fqdn(Domain),
		Serial: 1, Refresh: 7200, Retry: 1800, Expire: 86400, Minttl: ttl,
	}
}
