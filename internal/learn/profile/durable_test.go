package profile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMarkDurable checks which volumes have data that should outlive a pod, by the
// writes of real programs.
func TestMarkDurable(t *testing.T) {
	for _, tc := range []struct {
		name, image, trace string
		use                Use
		want               map[string]string // by mount path
	}{
		{
			name: "postgres", image: "d 0755 104:107 /var/lib/postgresql\nd 2775 104:107 /run/postgresql",
			trace: `
				mkdir /var/lib/postgresql/data initdb:104
				create /var/lib/postgresql/data/PG_VERSION initdb:104 3
				create,unlink /var/lib/postgresql/data/postmaster.pid postgres:104 80
				bind,unlink /run/postgresql/.s.PGSQL.5432 postgres:104
			`,
			want: map[string]string{
				"/var/lib/postgresql": "PostgreSQL keeps its data here: /var/lib/postgresql/data/PG_VERSION", "/run/postgresql": "",
			},
		},
		{
			name: "postgres with a cluster in the image", image: "f /data/pg/PG_VERSION 3\nf /data/pg/pg_wal/000000010000000000000001 16777216",
			trace: "write /data/pg/pg_wal/000000010000000000000001 postgres 16777216\ncreate,unlink /data/pg/postmaster.pid postgres",
			want:  map[string]string{"/data/pg": "PostgreSQL keeps its data here: /data/pg/pg_wal/000000010000000000000001"},
		},
		{
			name: "redis in a directory of its own", image: "d /srv/cache\nd /var/log/redis",
			trace: "create,rename /srv/cache/temp-17.rdb -> /srv/cache/dump.rdb redis-server\ncreate,write /var/log/redis/redis.log redis-server",
			want:  map[string]string{"/srv/cache": "Redis keeps its data here: /srv/cache/dump.rdb", "/var/log/redis": ""},
		},
		{
			name: "SQLite, whose journal is removed again", image: "d /srv/app",
			trace: "create,write /srv/app/store app\ncreate,unlink /srv/app/store-journal app",
			want:  map[string]string{"/srv/app": "SQLite keeps its data here: /srv/app/store"},
		},
		{
			name: "SQLite for a cache", image: "d /var/cache/app",
			trace: "create,write /var/cache/app/index.sqlite app",
			want:  map[string]string{"/var/cache/app": ""},
		},
		{
			name: "a write-ahead log", image: "d /metrics",
			trace: "mkdir /metrics/wal prometheus\ncreate /metrics/wal/00000000 prometheus",
			want:  map[string]string{"/metrics": "a database with a write-ahead log keeps its data here: /metrics/wal/*"},
		},
		{
			name: "a known directory", image: "d /var/lib/grafana",
			trace: "create,write /var/lib/grafana/x grafana",
			want:  map[string]string{"/var/lib/grafana": "Grafana keeps its data here"},
		},
		{
			name: "a VOLUME", image: "d /srv/app", use: Use{Volumes: []string{"/srv/app/uploads/", "/tmp"}},
			trace: "create /srv/app/uploads/a app\ncreate /tmp/a app",
			want:  map[string]string{"/srv/app": "the image declares VOLUME /srv/app/uploads/", "/tmp": ""},
		},
		{
			name: "a VOLUME in which nothing stays", image: "d /srv/app", use: Use{Volumes: []string{"/srv/app"}},
			trace: "create,unlink /srv/app/lock app", want: map[string]string{"/srv/app": ""},
		},
		{
			name: "a StatefulSet", image: "d /srv/app\nd /etc/app\nd /run/app", use: Use{Stateful: true},
			trace: "create /srv/app/a app\ncreate /etc/app/conf.new app\ncreate /run/app/app.pid app\ncreate /tmp/x app",
			want:  map[string]string{"/srv/app": "a StatefulSet keeps files here: /srv/app/a", "/etc/app": "", "/run/app": "", "/tmp": ""},
		},
		{
			name: "a Deployment", image: "d /srv/app", trace: "create /srv/app/a app", want: map[string]string{"/srv/app": ""},
		},
		{
			name: "nginx, which only spools", use: Use{Stateful: true},
			trace: "mkdir,chown /var/lib/nginx nginx\nmkdir /var/lib/nginx/body nginx\ncreate,unlink /var/lib/nginx/body/0000000001 nginx:33 1048576",
			want:  map[string]string{"/var/lib/nginx": ""},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := Derive(Input{Traces: traces(traceOf(t, tc.trace)), Rootfs: Rootfs{Tree: imageOf(t, debian, tc.image)}})
			got := map[string]string{}
			for _, v := range MarkDurable(c, tc.use).Volumes {
				got[v.MountPath] = v.Durable
			}
			if diff := cmp.Diff(got, tc.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}
