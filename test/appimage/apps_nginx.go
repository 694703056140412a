package appimage

// page is the page of both nginx images.
const page = "adamant\n"

// nginxContainer is nginx with the paths of container images: it writes only to
// /var/cache/nginx and /var/run, and logs to its standard streams.
func nginxContainer() App {
	return App{
		Name:     "nginx-container",
		Packages: []string{"nginx", "curl"},
		Files: map[string]string{
			"/etc/nginx/nginx.conf": `user  www-data;
worker_processes  2;

error_log  /dev/stderr notice;
pid        /var/run/nginx.pid;

events {
    worker_connections  1024;
}

http {
    include       /etc/nginx/mime.types;
    default_type  application/octet-stream;
    access_log    /dev/stdout;

    client_body_temp_path  /var/cache/nginx/client_temp;
    proxy_temp_path        /var/cache/nginx/proxy_temp;
    fastcgi_temp_path      /var/cache/nginx/fastcgi_temp;
    uwsgi_temp_path        /var/cache/nginx/uwsgi_temp;
    scgi_temp_path         /var/cache/nginx/scgi_temp;

    server {
        listen  80;
        root    /usr/share/nginx/html;
    }
}
`,
			"/usr/share/nginx/html/index.html": page,
		},
		// nginx opens its compiled-in log before it reads its configuration.
		Setup: `
			mkdir -p /var/cache/nginx
			ln -sf /dev/stdout /var/log/nginx/access.log
			ln -sf /dev/stderr /var/log/nginx/error.log`,
		Cmd:        []string{"nginx", "-g", "daemon off;"},
		Port:       80,
		StopSignal: "SIGQUIT",
		HTTP:       "/",
	}
}

// nginxDebian is nginx with Debian's configuration: /var/lib/nginx,
// /var/log/nginx and /run/nginx.pid.
func nginxDebian() App {
	return App{
		Name:       "nginx-debian",
		Packages:   []string{"nginx", "curl"},
		Files:      map[string]string{"/var/www/html/index.html": page},
		Cmd:        []string{"nginx", "-g", "daemon off;"},
		Port:       80,
		StopSignal: "SIGQUIT",
		HTTP:       "/",
	}
}
