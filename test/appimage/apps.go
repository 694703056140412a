package appimage

import (
	"fmt"
	"strings"
)

// App describes how an application's image is built and used. It uses Debian's
// configuration, without systemd: Setup creates the RuntimeDirectory=, and the
// program stays in the foreground.
type App struct {
	Name     string            // of the image: adamant.test/NAME:1
	Packages []string          // to install, without what they recommend
	Files    map[string]string // content by absolute path, written after the packages; "#!" makes it executable
	Setup    string            // commands of sh -eu that finish the image, run in it as root

	User       string // as in an image's configuration; empty is root
	Cmd        []string
	Dir        string // working directory
	Env        []string
	Port       int    // TCP port it serves; 0 if it serves none
	Volume     string // declared as VOLUME
	StopSignal string // empty is SIGTERM

	HTTP     string   // path that answers 200 on Port, if it speaks HTTP
	Exercise []string // command that uses it as a client would, run in its container
}

// Apps returns all applications.
func Apps() []App {
	return []App{
		nginxContainer(), nginxDebian(), apache(), haproxy(), phpFPM(), tomcat(), squid(),
		redis(), redisUser(), postgres(), postgresInitdb(), mariadb(), memcached(),
		mosquitto(), bind9(), openssh(), rabbitmq(), odd(), shop(),
	}
}

// shell returns a command that fails as soon as one command of the script
// fails.
func shell(script string) []string { return []string{"sh", "-euc", script} }

// Lookup returns the application with a name.
func Lookup(name string) (App, error) {
	var known []string
	for _, a := range Apps() {
		if a.Name == name {
			return a, nil
		}
		known = append(known, a.Name)
	}
	return App{}, fmt.Errorf("no application %q; there are %s", name, strings.Join(known, ", "))
}
