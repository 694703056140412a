package appimage

// apache is Debian's, started by its own script, which creates directories first.
// Like the official image, it removes the PID file of a run that was killed, because
// another process may have that PID now.
func apache() App {
	return App{
		Name:       "apache",
		Packages:   []string{"apache2"},
		Cmd:        []string{"sh", "-c", "rm -f /run/apache2/apache2.pid; exec apache2ctl -D FOREGROUND"},
		Port:       80,
		StopSignal: "SIGWINCH",
		HTTP:       "/",
	}
}

// haproxy serves a page in addition to Debian's configuration.
func haproxy() App {
	return App{
		Name:     "haproxy",
		Packages: []string{"haproxy"},
		Setup: `
			install -d -o haproxy -g haproxy -m 2755 /run/haproxy
			cat >>/etc/haproxy/haproxy.cfg <<-end

			frontend web
			        bind *:80
			        http-request return status 200 content-type text/plain string adamant
			end`,
		Cmd:  []string{"haproxy", "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg", "-p", "/run/haproxy.pid"},
		Port: 80,
		HTTP: "/",
	}
}

// phpFPM serves FastCGI. Its script uses a session and accepts an upload.
func phpFPM() App {
	return App{
		Name:     "php-fpm",
		Packages: []string{"php-fpm", "libfcgi-bin"},
		Files: map[string]string{"/var/www/html/index.php": `<?php
session_start();
$_SESSION['n'] = 1;
move_uploaded_file($_FILES['f']['tmp_name'] ?? '', '/tmp/upload');
file_put_contents(tempnam(sys_get_temp_dir(), 'adamant'), 'x');
echo "adamant";
`},
		Setup: `install -d -o www-data -g www-data -m 755 /run/php`,
		Cmd:   []string{"sh", "-c", "exec /usr/sbin/php-fpm* --nodaemonize"},
		Exercise: shell(`
			export SCRIPT_FILENAME=/var/www/html/index.php REQUEST_METHOD=GET
			cgi-fcgi -bind -connect "$(echo /run/php/php*-fpm.sock)" | grep -q adamant`),
	}
}

// tomcat serves a page that it compiles at the first request.
func tomcat() App {
	return App{
		Name:     "tomcat",
		Packages: []string{"tomcat10"},
		Files: map[string]string{
			"/var/lib/tomcat10/webapps/ROOT/page.jsp": `<%= "ada" + "mant" %>`,
		},
		User: "tomcat",
		Dir:  "/var/lib/tomcat10",
		Env: []string{
			"CATALINA_HOME=/usr/share/tomcat10", "CATALINA_BASE=/var/lib/tomcat10", "CATALINA_TMPDIR=/tmp",
			"JAVA_OPTS=-Djava.awt.headless=true",
		},
		Cmd:  []string{"/usr/libexec/tomcat10/tomcat-start.sh"},
		Port: 8080,
		HTTP: "/page.jsp",
	}
}

// squid is a proxy that refuses all clients except local ones, as Debian
// configures it.
func squid() App {
	return App{
		Name:     "squid",
		Packages: []string{"squid", "curl"},
		Cmd:      []string{"squid", "-N"},
		Port:     3128,
		Exercise: shell(`curl -s -x http://127.0.0.1:3128 http://adamant.invalid/ | grep -qi squid`),
	}
}
