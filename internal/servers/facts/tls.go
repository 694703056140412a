package facts

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
)

// tlsFacts returns the TLS settings of OpenSSL for all programs, of nginx and of
// Apache, each with its file, and the authorities that the system trusts.
func tlsFacts(from files) ([]Fact, []Unknown) {
	t := tlsSettings{}
	for _, file := range []string{"/etc/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf"} {
		c := opensslConfig{config{from: from, base: path.Dir(file)}, map[string]map[string]string{}}
		c.file(file, "", 0)
		for key, value := range c.system() {
			t.add(file, key, value)
		}
		t.unknowns = append(t.unknowns, c.unknowns(TLS, file)...)
	}
	n := webConfig{config{from: from, base: "/etc/nginx"}, &t}
	n.nginx("/etc/nginx/nginx.conf", 0)
	t.unknowns = append(t.unknowns, n.unknowns(TLS, "/etc/nginx/nginx.conf")...)
	for _, file := range []string{"/etc/apache2/apache2.conf", "/etc/apache2/httpd.conf", "/etc/httpd/conf/httpd.conf"} {
		a := webConfig{config{from: from, base: strings.Join(strings.Split(file, "/")[:3], "/")}, &t}
		a.apache(file, 0)
		t.unknowns = append(t.unknowns, a.unknowns(TLS, file)...)
	}
	for _, file := range trusted {
		if value := certificatesIn(from, file); value != "" {
			t.add(file, "certificates", value)
		}
	}
	return t.facts(), t.unknowns
}

// tlsSettings holds values by file and keyword. A file may have several values of one
// keyword, for example for several virtual hosts.
type tlsSettings struct {
	values   map[string]string
	unknowns []Unknown
}

func (t *tlsSettings) add(file, keyword, value string) {
	key := file + ": " + keyword
	was, isSet := t.values[key]
	switch {
	case !isSet:
		if t.values == nil {
			t.values = map[string]string{}
		}
		t.values[key] = value
	case !slices.Contains(strings.Split(was, " | "), value):
		t.values[key] = was + " | " + value
	}
}

func (t *tlsSettings) facts() []Fact {
	var facts []Fact
	for _, key := range slices.Sorted(maps.Keys(t.values)) {
		facts = append(facts, Fact{TLS, key, t.values[key]})
	}
	return facts
}

// An opensslConfig holds the values of a file in the format of OpenSSL's config(5), by
// section and name.
type opensslConfig struct {
	config
	sections map[string]map[string]string
}

// file reads a file that begins in a section, and returns the section in which it ends.
func (o *opensslConfig) file(name, section string, depth int) string {
	for _, line := range o.lines(name, depth) {
		if i := strings.IndexByte(line, '#'); i >= 0 {
			line = line[:i]
		}
		line = strings.TrimSpace(line)
		if include, ok := strings.CutPrefix(line, ".include"); ok {
			section = o.include(strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(include), "=")), section, depth)
			continue
		}
		if strings.HasPrefix(line, "[") {
			section = strings.TrimSpace(strings.Trim(line, "[]"))
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		if o.sections[section] == nil {
			o.sections[section] = map[string]string{}
		}
		o.sections[section][strings.TrimSpace(key)] = strings.Trim(strings.TrimSpace(value), `"'`)
	}
	return section
}

// include reads a file, or the files of a directory.
func (o *opensslConfig) include(name, section string, depth int) string {
	files := []string{path.Join(o.base, name)}
	if path.IsAbs(name) {
		files = []string{path.Clean(name)}
	}
	if entries, err := o.from.list(files[0]); err == nil {
		files = nil
		for _, e := range entries {
			if ext := path.Ext(e.Path); ext == ".cnf" || ext == ".conf" {
				files = append(files, e.Path)
			}
		}
	}
	for _, f := range files {
		section = o.file(f, section, depth+1)
	}
	return section
}

// system returns the settings for all programs. Three sections lead to them:
// openssl_conf names the one with ssl_conf, which names the one with system_default.
func (o *opensslConfig) system() map[string]string {
	name := o.sections[""]["openssl_conf"]
	if name == "" {
		name = o.sections["default"]["openssl_conf"]
	}
	for _, next := range []string{"ssl_conf", "system_default"} {
		if name == "" {
			return nil
		}
		name = o.sections[name][next]
	}
	if name == "" {
		return nil
	}
	return o.sections[name]
}

// A webConfig reads the configuration of a web server.
type webConfig struct {
	config
	settings *tlsSettings
}

// nginx reads a file of directives, which end with a semicolon or a brace.
func (w *webConfig) nginx(file string, depth int) {
	for _, words := range nginxDirectives(strings.Join(w.lines(file, depth), "\n")) {
		switch words[0] {
		case "include":
			for _, pattern := range words[1:] {
				for _, f := range w.glob(pattern) {
					w.nginx(f, depth+1)
				}
			}
		case "ssl_protocols", "ssl_ciphers", "ssl_prefer_server_ciphers", "ssl_conf_command":
			w.settings.add(file, words[0], strings.Join(words[1:], " "))
		}
	}
}

// nginxDirectives splits a text into directives, each of one word or more.
func nginxDirectives(text string) [][]string {
	var list [][]string
	var words []string
	end := func() {
		if len(words) > 0 {
			list = append(list, words)
		}
		words = nil
	}
	for text != "" {
		switch c := text[0]; c {
		case ' ', '\t', '\n', '\r':
			text = text[1:]
		case ';', '{', '}':
			end()
			text = text[1:]
		case '#':
			_, text, _ = strings.Cut(text, "\n")
		case '"', '\'':
			var word string
			word, text, _ = strings.Cut(text[1:], string(c))
			words = append(words, word)
		default:
			i := strings.IndexAny(text, " \t\r\n;{}")
			if i < 0 {
				i = len(text)
			}
			words, text = append(words, text[:i]), text[i:]
		}
	}
	end()
	return list
}

// apache reads a file of lines, each with a case-insensitive keyword and arguments.
func (w *webConfig) apache(file string, depth int) {
	before := ""
	for _, line := range w.lines(file, depth) {
		line = before + line
		if continued, ok := strings.CutSuffix(line, `\`); ok && len(line) < maxUnitLine {
			before = continued
			continue
		}
		before = ""
		words := strings.Fields(strings.ReplaceAll(line, `"`, " "))
		if len(words) < 2 {
			continue
		}
		switch strings.ToLower(words[0]) {
		case "include", "includeoptional": // the optional one may match nothing
			for _, f := range w.glob(words[1]) {
				w.apache(f, depth+1)
			}
		case "sslprotocol":
			w.settings.add(file, "SSLProtocol", strings.Join(words[1:], " "))
		case "sslciphersuite":
			w.settings.add(file, "SSLCipherSuite", strings.Join(words[1:], " "))
		case "sslhonorcipherorder":
			w.settings.add(file, "SSLHonorCipherOrder", strings.Join(words[1:], " "))
		}
	}
}

// trusted are the files with the certificate authorities that a system trusts: of
// Debian and Alpine, and of Fedora and its derivatives.
var trusted = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"}

// certificatesIn returns the number of certificates in a file, and a digest of them.
func certificatesIn(from files, file string) string {
	f, err := from.open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxText))
	if err != nil {
		return ""
	}
	digest := sha256.Sum256(text)
	n := bytes.Count(text, []byte("-----BEGIN CERTIFICATE-----")) + bytes.Count(text, []byte("-----BEGIN TRUSTED CERTIFICATE-----"))
	return fmt.Sprintf("%d, sha256:%s", n, hex.EncodeToString(digest[:8]))
}
