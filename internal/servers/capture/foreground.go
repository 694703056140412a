package capture

import (
	"path"
	"slices"
	"strings"
)

// A daemon is a known program. Its unit lets it fork, but a container ends with its
// first process, so it must be kept in the foreground.
type daemon struct {
	programs   []string
	foreground func(command []string) []string // nil: no way is known
	ports      []Port                          // on which it listens by default
}

func tcp(n uint16) Port { return Port{Protocol: "tcp", Number: n} }
func udp(n uint16) Port { return Port{Protocol: "udp", Number: n} }

// daemons are the known programs.
var daemons = []daemon{
	{[]string{"nginx"}, nginxForeground, []Port{tcp(80)}},
	{[]string{"apache2ctl", "apachectl", "httpd", "apache2"}, apacheForeground, []Port{tcp(80)}},
	{[]string{"redis-server", "valkey-server"}, withValue("--daemonize", "no"), []Port{tcp(6379)}},
	{[]string{"memcached", "systemd-memcached-wrapper"}, withoutWord("-d"), []Port{tcp(11211)}},
	{[]string{"haproxy"}, replaceWord("-D", "-W"), nil},
	{[]string{"postgres"}, unmodified, []Port{tcp(5432)}},
	{[]string{"pg_ctlcluster"}, postgresForeground, []Port{tcp(5432)}},
	{[]string{"mariadbd", "mysqld", "mysqld_safe"}, withoutWord("--daemonize"), []Port{tcp(3306)}},
	{[]string{"cron", "crond"}, withOption("-f"), nil},
	{[]string{"named"}, withOption("-f"), []Port{tcp(53), udp(53)}},
	{[]string{"unbound"}, withOption("-d"), []Port{tcp(53), udp(53)}},
	{[]string{"dnsmasq"}, withOption("--keep-in-foreground"), []Port{tcp(53), udp(53)}},
	{[]string{"lighttpd"}, withOption("-D"), []Port{tcp(80)}},
	{[]string{"varnishd"}, withOption("-F"), []Port{tcp(6081)}},
	{[]string{"squid"}, withOption("--foreground"), []Port{tcp(3128)}},
	{[]string{"mosquitto"}, withoutWord("-d"), []Port{tcp(1883)}},
	{[]string{"slapd"}, withOption("-d", "0"), []Port{tcp(389)}},
	{[]string{"proftpd"}, withOption("--nodaemon"), []Port{tcp(21)}},
	{[]string{"postfix"}, replaceWord("start", "start-fg"), []Port{tcp(25)}},
	{[]string{"exim4", "exim"}, replaceWord("-bd", "-bdf"), []Port{tcp(25)}},
	{[]string{"dovecot"}, withOption("-F"), []Port{tcp(143), tcp(993)}},
	{[]string{"snmpd"}, withOption("-f"), []Port{udp(161)}},
	{[]string{"keepalived"}, withOption("--dont-fork"), nil},
	{[]string{"vsftpd"}, nil, []Port{tcp(21)}},
}

// daemonOf finds a known program by its path.
func daemonOf(program string) (daemon, bool) {
	name := path.Base(program)
	if strings.HasPrefix(name, "php-fpm") {
		return daemon{[]string{name}, withOption("--nodaemonize"), nil}, true
	}
	i := slices.IndexFunc(daemons, func(d daemon) bool { return slices.Contains(d.programs, name) })
	if i < 0 {
		return daemon{}, false
	}
	return daemons[i], true
}

func unmodified(command []string) []string { return command }

// withOption adds options unless the command has the first of them.
func withOption(options ...string) func([]string) []string {
	return func(command []string) []string {
		if slices.Contains(command, options[0]) {
			return command
		}
		return append(slices.Clone(command), options...)
	}
}

// withoutWord removes a word.
func withoutWord(word string) func([]string) []string {
	return func(command []string) []string {
		return slices.DeleteFunc(slices.Clone(command), func(w string) bool { return w == word })
	}
}

// replaceWord replaces a word, or adds the new one.
func replaceWord(old, word string) func([]string) []string {
	return func(command []string) []string { return withOption(word)(withoutWord(old)(command)) }
}

// withValue sets an option that has a value in the next word.
func withValue(name, value string) func([]string) []string {
	return func(command []string) []string {
		command = slices.Clone(command)
		if i := slices.Index(command, name); i >= 0 && i+1 < len(command) {
			command[i+1] = value
			return command
		}
		return append(command, name, value)
	}
}

// nginxForeground sets "daemon off", and keeps the other directives of -g. nginx
// takes only one -g, and refuses a directive that is set twice.
func nginxForeground(command []string) []string {
	command = slices.Clone(command)
	i := slices.Index(command, "-g")
	if i < 0 || i+1 == len(command) {
		return append(command, "-g", "daemon off;")
	}
	directives := "daemon off;"
	for d := range strings.SplitSeq(command[i+1], ";") {
		if d = strings.TrimSpace(d); d != "" && !strings.HasPrefix(d, "daemon ") {
			directives += " " + d + ";"
		}
	}
	command[i+1] = directives
	return command
}

// apacheForeground keeps apachectl, because it reads /etc/apache2/envvars, which
// the configuration needs.
func apacheForeground(command []string) []string {
	kept := slices.DeleteFunc(slices.Clone(command), func(w string) bool { return w == "start" || w == "-k" })
	return append(kept, "-D", "FOREGROUND")
}

// postgresForeground runs the server of a cluster without pg_ctlcluster(1), which
// always forks and is called as "pg_ctlcluster [options] 15-main start".
func postgresForeground(command []string) []string {
	for _, w := range command[1:] {
		version, cluster, ok := strings.Cut(w, "-")
		if ok && version != "" && cluster != "" {
			return []string{path.Join("/usr/lib/postgresql", version, "bin/postgres"), "-D", path.Join("/etc/postgresql", version, cluster)}
		}
	}
	return nil
}
