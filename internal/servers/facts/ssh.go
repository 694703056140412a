package facts

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	sshDir    = "/etc/ssh"
	sshConfig = sshDir + "/sshd_config"
)

// sshFacts returns the settings of sshd_config(5) that are in force. The first value of
// a keyword wins, except for keywords whose lines add up, and for some in old releases.
// Settings below a Match are
// separate facts. A keyword that is not set has the default of the sshd, and is no fact.
func sshFacts(from files) ([]Fact, []Unknown) {
	s := sshSettings{config{from: from, base: sshDir}, map[string]string{}, sshRelease(from)}
	s.file(sshConfig, "", 0)
	var facts []Fact
	for _, key := range slices.Sorted(maps.Keys(s.values)) {
		facts = append(facts, Fact{SSH, key, s.values[key]})
	}
	return facts, s.unknowns(SSH, sshConfig)
}

type sshSettings struct {
	config
	values  map[string]string
	release int // 902 for OpenSSH 9.2, 0 if it is not known
}

// sshRelease returns the release of the package of sshd. That of rpm is not known,
// because its database is no text.
func sshRelease(from files) int {
	packages := append(dpkgPackages(from), apkPackages(lines(from, apkDatabase))...)
	for _, p := range packages {
		version := p.Version
		if _, rest, hasEpoch := strings.Cut(version, ":"); hasEpoch {
			version = rest
		}
		var major, minor int
		if n, _ := fmt.Sscanf(version, "%d.%d", &major, &minor); n == 2 && p.Name == "openssh-server" {
			return 100*major + minor
		}
	}
	return 0
}

// file reads a file under a condition, which may be empty. A Match in the file ends
// with the file.
func (s *sshSettings) file(name, condition string, depth int) {
	outer := condition
	for _, line := range s.lines(name, depth) {
		keyword, args := sshWords(line)
		switch keyword {
		case "":
		case "Include":
			for _, pattern := range args {
				for _, file := range s.glob(pattern) {
					s.file(file, condition, depth+1) // an Include below a Match is conditional, too
				}
			}
		case "Match":
			condition = outer + "Match " + strings.Join(args, " ") + ": "
		default:
			s.set(condition+keyword, keyword, strings.Join(args, " "))
		}
	}
}

func (s *sshSettings) set(key, keyword, value string) {
	switch was, isSet := s.values[key]; {
	case keyword == "Subsystem": // one setting for each name
		name, command, _ := strings.Cut(value, " ")
		if _, isSet := s.values[key+" "+name]; !isSet {
			s.values[key+" "+name] = command
		}
	case !isSet:
		s.values[key] = value
	case slices.Contains(sshLists, keyword):
		s.values[key] = was + " " + value
	case s.release < sshFirst[keyword] && (s.release > 0 || sshFirst[keyword] == never):
		s.values[key] = value
	case s.release < sshFirst[keyword] && was != value:
		s.values[key] = was + " | " + value // which one counts is not known
	}
}

// sshFirst are the keywords of which the last value wins, with the release from which on
// it is the first (the history of servconf.c).
var sshFirst = map[string]int{
	"FingerprintHash": never, "IPQoS": 1003, "MaxStartups": 1001, "PerSourceMaxStartups": 905, "PerSourceNetBlockSize": 1001, "StreamLocalBindMask": never,
}

const never = 1 << 30

// sshWords splits a line into its keyword, as the manual writes it, and its
// arguments, which may be quoted.
func sshWords(line string) (string, []string) {
	line = strings.TrimSpace(line)
	end := strings.IndexAny(line, " \t=\"#")
	if end < 0 {
		end = len(line)
	}
	if end == 0 {
		return "", nil
	}
	keyword := strings.ToLower(line[:end])
	if canonical, known := sshKeywords[keyword]; known {
		keyword = canonical
	}
	rest := strings.TrimPrefix(strings.TrimLeft(line[end:], " \t"), "=")
	var args []string
	for rest = strings.TrimLeft(rest, " \t"); rest != "" && rest[0] != '#'; rest = strings.TrimLeft(rest, " \t") {
		stop := " \t"
		if rest[0] == '"' {
			stop, rest = `"`, rest[1:]
		}
		end := strings.IndexAny(rest, stop)
		if end < 0 {
			return keyword, append(args, rest)
		}
		args, rest = append(args, rest[:end]), rest[end+1:]
	}
	return keyword, args
}

// sshLists are the keywords whose lines add up.
var sshLists = []string{
	"AcceptEnv", "AllowGroups", "AllowUsers", "DenyGroups", "DenyUsers", "HostCertificate", "HostKey", "ListenAddress", "Port",
}

// sshKeywords maps keywords in lower case to the spelling of the manual, and old names
// to the current ones.
var sshKeywords = func() map[string]string {
	m := map[string]string{
		"challengeresponseauthentication": "KbdInteractiveAuthentication", "dsaauthentication": "PubkeyAuthentication",
		"hostbasedacceptedkeytypes": "HostbasedAcceptedAlgorithms", "pubkeyacceptedkeytypes": "PubkeyAcceptedAlgorithms",
	}
	for k := range strings.FieldsSeq(`AcceptEnv AddressFamily AllowAgentForwarding AllowGroups AllowStreamLocalForwarding
		AllowTcpForwarding AllowUsers AuthenticationMethods AuthorizedKeysCommand AuthorizedKeysCommandUser AuthorizedKeysFile
		AuthorizedPrincipalsCommand AuthorizedPrincipalsCommandUser AuthorizedPrincipalsFile Banner CASignatureAlgorithms
		ChannelTimeout ChrootDirectory Ciphers ClientAliveCountMax ClientAliveInterval Compression DebianBanner DenyGroups DenyUsers
		DisableForwarding ExposeAuthInfo FingerprintHash ForceCommand GatewayPorts GSSAPIAuthentication GSSAPICleanupCredentials
		GSSAPIKeyExchange GSSAPIStrictAcceptorCheck HostbasedAcceptedAlgorithms HostbasedAuthentication
		HostbasedUsesNameFromPacketOnly HostCertificate HostKey HostKeyAgent HostKeyAlgorithms IgnoreRhosts IgnoreUserKnownHosts
		Include IPQoS KbdInteractiveAuthentication KerberosAuthentication KerberosGetAFSToken KerberosOrLocalPasswd
		KerberosTicketCleanup KexAlgorithms ListenAddress LoginGraceTime LogLevel LogVerbose MACs Match MaxAuthTries MaxSessions
		MaxStartups ModuliFile PasswordAuthentication PermitEmptyPasswords PermitListen PermitOpen PermitRootLogin PermitTTY
		PermitTunnel PermitUserEnvironment PermitUserRC PerSourceMaxStartups PerSourceNetBlockSize PerSourcePenalties
		PerSourcePenaltyExemptList PidFile Port PrintLastLog PrintMotd PubkeyAcceptedAlgorithms PubkeyAuthentication
		PubkeyAuthOptions RDomain RekeyLimit RequiredRSASize RevokedKeys SecurityKeyProvider SetEnv StreamLocalBindMask
		StreamLocalBindUnlink StrictModes Subsystem SyslogFacility TCPKeepAlive TrustedUserCAKeys UnusedConnectionTimeout UseDNS
		UsePAM VersionAddendum X11DisplayOffset X11Forwarding X11UseLocalhost XAuthLocation`) {
		m[strings.ToLower(k)] = k
	}
	return m
}()
