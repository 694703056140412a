package appimage

// shop is the middle tier of an application of four: it keeps orders in postgres and
// a copy of them in redis.
func shop() App {
	return App{
		Name:     "shop",
		Packages: []string{"python3", "python3-psycopg2"},
		Files:    map[string]string{"/app/shop.py": shopServer},
		Cmd:      []string{"python3", "/app/shop.py"},
		Port:     8080,
	}
}

// shopServer stores the text that is sent to /orders/NAME, and answers with it. It
// tries again for most of a minute while postgres is away, so that a client need not
// know; without redis it is only slower. An order never changes: another text for the
// same name is answered with 409.
const shopServer = `import http.server, os, signal, socket, threading, time
import psycopg2

class Shop(http.server.ThreadingHTTPServer):
    daemon_threads = False  # server_close waits for requests
    request_queue_size = 128

def database(statement, *values):
    for attempt in range(250):
        try:
            db = psycopg2.connect(host="db", user="postgres", dbname="postgres", connect_timeout=3)
            try:
                with db, db.cursor() as c:
                    c.execute("create table if not exists orders (name text primary key, content text)")
                    c.execute(statement, values)
                    return c.fetchone() if c.description else None
            finally:
                db.close()
        except psycopg2.Error as e:
            reason = e
            time.sleep(0.2)
    raise reason

def cache(*words):
    try:
        with socket.create_connection(("cache", 6379), timeout=1) as s:
            s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
            f = s.makefile("rb")
            kind, rest = f.read(1), f.readline()
            return f.read(int(rest)) if kind == b"$" and int(rest) >= 0 else None
    except OSError:
        return None

class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, code, body):
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Shop", os.environ.get("VERSION", ""))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/ready":
            return self.answer(200, b"ready")
        name = self.path.rpartition("/")[2]
        body = cache(b"GET", name.encode())
        if body is None:
            row = database("select content from orders where name = %s", name)
            if row is None:
                return self.answer(404, b"no such order")
            body = row[0].encode()
            cache(b"SET", name.encode(), body)
        self.answer(200, body)

    def do_POST(self):
        name = self.path.rpartition("/")[2]
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        database("insert into orders values (%s, %s) on conflict do nothing", name, body)
        kept = database("select content from orders where name = %s", name)[0]
        self.answer(200 if kept == body else 409, kept.encode())

    def log_message(self, *args):
        pass

server = Shop(("", 8080), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()
`
