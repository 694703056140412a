package appimage

// odd has interpreters and small services, and its own programs that write to
// unusual paths. Each test sets the command.
func odd() App {
	return App{
		Name:     "odd",
		Packages: []string{"python3", "cron", "git", "sqlite3", "gettext-base"},
		Files: map[string]string{
			"/app/server.py":           oddServer,
			"/app/helper.py":           "def greet():\n    return b'hello\\n'\n",
			"/etc/app/app.conf":        "port = 8000\nname = unset\n",
			"/etc/app/templates/a.tpl": "host ${HOST_NAME}\n",
			"/etc/app/conf.d/old.conf": "host old\n",
			"/etc/crontab":             "* * * * * root date >> /var/log/beat.log\n",
			"/usr/local/bin/entrypoint": `#!/bin/sh
set -eu
sed -i "s/^name = .*/name = $HOST_NAME/" /etc/app/app.conf
for t in /etc/app/templates/*.tpl; do
	envsubst <"$t" >"/etc/app/conf.d/$(basename "$t" .tpl).conf"
done
cat <<-END >/tmp/greeting
	hello from $HOST_NAME
END
exec "$@"
`,
		},
		Setup: `
			useradd --system --no-create-home --shell /usr/sbin/nologin app
			mkdir /app/data && chown app /app/data
			git init --quiet --bare /srv/repo.git && touch /srv/repo.git/git-daemon-export-ok
			git -C /srv/repo.git config daemon.receivepack true`,
		Dir:  "/app",
		Env:  []string{"HOST_NAME=odd", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Cmd:  []string{"python3", "-m", "http.server", "8000"},
		Port: 8000,
		HTTP: "/",
	}
}

// oddServer answers GET with a row count of its database, and stores each POST
// in a file of its own.
const oddServer = `import http.server, sqlite3, sys, tempfile, helper

class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        with sqlite3.connect(sys.argv[1], timeout=30) as db:
            db.execute("create table if not exists hit (path text)")
            db.execute("insert into hit values (?)", (self.path,))
        self.answer(helper.greet())

    do_HEAD = do_GET

    def do_POST(self):
        with tempfile.NamedTemporaryFile() as f:
            f.write(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(b"stored\n")

http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
`
