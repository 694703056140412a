package profile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDeriveApplications checks the write sets of real programs, as Debian
// packages them, and the volumes that are known to work for each.
func TestDeriveApplications(t *testing.T) {
	for _, tc := range []struct {
		name     string
		image    string
		user     User
		mounts   []Mount
		trace    string
		left     []Leftover
		want     []string
		refused  []string
		unsolved []string
	}{
		{
			name: "nginx of Debian",
			image: `
				d /var/lib/nginx
				d 0755 33:4 /var/log/nginx
				f /etc/nginx/nginx.conf 1400
				d /var/www/html
			`,
			trace: `
				create,write,chown /var/log/nginx/access.log nginx 90
				create,write,chown /var/log/nginx/error.log nginx
				mkdir,chown /var/lib/nginx/body nginx
				mkdir,chown /var/lib/nginx/proxy nginx
				mkdir,chown /var/lib/nginx/fastcgi nginx
				mkdir,chown /var/lib/nginx/uwsgi nginx
				mkdir,chown /var/lib/nginx/scgi nginx
				create,write,unlink /run/nginx.pid nginx 2
				create,write,unlink /var/lib/nginx/body/0000000001 nginx:33 1048576
			`,
			want: []string{"/run copy-up", "/var/lib/nginx", "/var/log/nginx"},
		},
		{
			name: "nginx of the Docker library",
			image: `
				d /var/cache/nginx
				f /etc/nginx/conf.d/default.conf 1093
				l /var/log/nginx/access.log -> /dev/stdout
				f /docker-entrypoint.d/10-listen-on-ipv6-by-default.sh 2000
			`,
			trace: `
				create /etc/nginx/conf.d/seddhQ3aB sed 1100
				chmod,chown /etc/nginx/conf.d/seddhQ3aB sed
				rename /etc/nginx/conf.d/seddhQ3aB -> /etc/nginx/conf.d/default.conf sed 1100
				mkdir,chown /var/cache/nginx/client_temp nginx
				mkdir,chown /var/cache/nginx/proxy_temp nginx
				mkdir,chown /var/cache/nginx/fastcgi_temp nginx
				mkdir,chown /var/cache/nginx/uwsgi_temp nginx
				mkdir,chown /var/cache/nginx/scgi_temp nginx
				create,write,unlink /run/nginx.pid nginx 2
				write /dev/stdout nginx on /dev
				write /dev/pts/0 nginx
			`,
			want: []string{"/etc/nginx/conf.d copy-up", "/run copy-up", "/var/cache/nginx"},
		},
		{
			name:  "redis as its own user",
			image: "d 0750 101:101 /var/lib/redis\nd 2750 101:4 /var/log/redis\nf 0640 101:101 /etc/redis/redis.conf 110000",
			user:  User{UID: 101, GID: 101},
			trace: `
				create,write /var/lib/redis/temp-17.rdb redis-server:101 90000
				rename /var/lib/redis/temp-17.rdb -> /var/lib/redis/dump.rdb redis-server:101 90000
				create,write /var/log/redis/redis-server.log redis-server:101 2000
				create /run/redis/redis-server.pid redis-server:101 !ENOENT
			`,
			want:    []string{"/var/lib/redis", "/var/log/redis"},
			refused: []string{"/run/redis/redis-server.pid"},
		},
		{
			name: "postgres with an existing cluster",
			image: `
				d 0755 104:107 /var/lib/postgresql
				d 0700 104:107 /var/lib/postgresql/15/main
				f 0600 104:107 /var/lib/postgresql/15/main/PG_VERSION 3
				f 0600 104:107 /var/lib/postgresql/15/main/base/1/1259 90112
				f 0600 104:107 /var/lib/postgresql/15/main/pg_wal/000000010000000000000001 16777216
				d 2775 104:107 /run/postgresql
				d 1775 0:107 /var/log/postgresql
			`,
			user: User{UID: 104, GID: 107},
			trace: `
				create,write,unlink /var/lib/postgresql/15/main/postmaster.pid postgres:104 80
				create,write,unlink /var/lib/postgresql/15/main/postmaster.opts postgres:104 80
				write /var/lib/postgresql/15/main/base/1/1259 postgres:104 90112
				write /var/lib/postgresql/15/main/pg_wal/000000010000000000000001 postgres:104 16777216
				create,write,unlink /run/postgresql/.s.PGSQL.5432.lock postgres:104 60
				bind,chmod,unlink /run/postgresql/.s.PGSQL.5432 postgres:104
				create /dev/shm/PostgreSQL.123 postgres:104 1000 on /dev/shm
			`,
			want: []string{
				"/run/postgresql",
				"/var/lib/postgresql/15/main copy-up 0700 104:107",
			},
		},
		{
			name: "postgres: initdb as its own user in a directory of the image",
			image: `
				d 1777 999:999 /var/lib/postgresql/data
				d 3777 999:999 /run/postgresql
			`,
			user: User{UID: 999, GID: 999},
			trace: `
				chmod /var/lib/postgresql/data initdb:999
				mkdir /var/lib/postgresql/data/base initdb:999
				create,write /var/lib/postgresql/data/PG_VERSION initdb:999 3
				create,write /var/lib/postgresql/data/base/1/1259 postgres:999 90112
				create,write,unlink /run/postgresql/.s.PGSQL.5432.lock postgres:999 60
				bind,chmod,unlink /run/postgresql/.s.PGSQL.5432 postgres:999
			`,
			want: []string{
				"/run/postgresql",
				"/var/lib/postgresql/data subpath=data copy-up 1777 999:999",
			},
		},
		{
			name:  "postgres: initdb makes its own directory",
			image: "d 0755 999:999 /var/lib/postgresql\nd 2775 999:999 /run/postgresql",
			user:  User{UID: 999, GID: 999},
			trace: `
				mkdir,chmod /var/lib/postgresql/data initdb:999
				create,write /var/lib/postgresql/data/PG_VERSION initdb:999 3
				bind /run/postgresql/.s.PGSQL.5432 postgres:999
			`,
			want: []string{"/run/postgresql", "/var/lib/postgresql"},
		},
		{
			name:  "apache",
			image: "d 0750 0:4 /var/log/apache2\nf /etc/apache2/apache2.conf 7000\nd /var/cache/apache2/mod_cache_disk",
			trace: `
				mkdir,chmod /run/apache2 apachectl
				mkdir,chown /run/lock/apache2 apachectl
				create,write,unlink /run/apache2/apache2.pid apache2 2
				create,write /var/log/apache2/access.log apache2 900
				create,write /var/log/apache2/error.log apache2 900
			`,
			want: []string{"/run/apache2", "/run/lock", "/var/log/apache2"},
		},
		{
			name:  "haproxy",
			image: "d /run/haproxy\nd 0755 101:101 /var/lib/haproxy\nf /etc/haproxy/haproxy.cfg 1300",
			trace: `
				bind,chmod /run/haproxy/admin.sock.7.tmp haproxy
				rename /run/haproxy/admin.sock.7.tmp -> /run/haproxy/admin.sock haproxy
				create,write /run/haproxy.pid haproxy 2
			`,
			want: []string{"/run copy-up"},
		},
		{
			name:  "memcached",
			image: "f /etc/memcached.conf 1800",
			user:  User{UID: 106, GID: 108},
			trace: "create /run/memcached/memcached.pid memcached:106 !ENOENT",
			refused: []string{
				"/run/memcached/memcached.pid",
			},
		},
		{
			name: "mysql",
			image: `
				d 0700 100:101 /var/lib/mysql
				d 0770 100:101 /var/lib/mysql-files
				d 0755 100:101 /run/mysqld
				d 2750 100:4 /var/log/mysql
			`,
			trace: `
				create,write /var/lib/mysql/ibdata1 mysqld:100 12582912
				create,write /var/lib/mysql/#innodb_redo/#ib_redo10 mysqld:100 3276800
				create,write,rename /var/lib/mysql/auto.cnf.tmp -> /var/lib/mysql/auto.cnf mysqld:100 56
				create,unlink /var/lib/mysql/ibtmp1 mysqld:100 12582912
				tmpfile /tmp mysqld:100
				create,unlink /tmp/ibXo5Rq7 mysqld:100
				bind,chmod /run/mysqld/mysqld.sock mysqld:100
				create,write,link,unlink /run/mysqld/mysqld.sock.lock mysqld:100 2
				create /run/mysqld/mysqld.pid mysqld:100 2
			`,
			want: []string{"/run/mysqld", "/tmp", "/var/lib/mysql"},
		},
		{
			name: "tomcat in /usr/local",
			image: `
				f /usr/local/tomcat/bin/catalina.sh 25000
				f /usr/local/tomcat/conf/server.xml 7000
				d 0777 /usr/local/tomcat/logs
				d 0777 /usr/local/tomcat/temp
				d 0777 /usr/local/tomcat/work
				d /usr/local/tomcat/webapps
			`,
			trace: `
				create,write /usr/local/tomcat/logs/catalina.2026-11-23.log java 9000
				create,write /usr/local/tomcat/logs/localhost.2026-11-23.log java 900
				mkdir /usr/local/tomcat/work/Catalina java
				mkdir /usr/local/tomcat/work/Catalina/localhost java
				create,write /usr/local/tomcat/work/Catalina/localhost/ROOT/org/apache/jsp/index_jsp.class java 4000
				mkdir /usr/local/tomcat/conf/Catalina java
				mkdir /usr/local/tomcat/conf/Catalina/localhost java
				mkdir /tmp/hsperfdata_root java
				create,write,unlink /tmp/hsperfdata_root/7 java 32768
			`,
			want: []string{
				"/tmp", "/usr/local/tomcat/conf/Catalina", "/usr/local/tomcat/logs", "/usr/local/tomcat/work",
			},
		},
		{
			name:  "php-fpm",
			image: "d /run/php\nd 1733 /var/lib/php/sessions\nf /etc/php/8.2/fpm/php-fpm.conf 5000",
			trace: `
				create,write,unlink /run/php/php8.2-fpm.pid php-fpm8.2 2
				bind,chown,chmod,unlink /run/php/php8.2-fpm.sock php-fpm8.2
				create,write /var/log/php8.2-fpm.log php-fpm8.2 300
				create,write /var/lib/php/sessions/sess_9f86d081884c7d659a2feaa0c5 php-fpm8.2:33 40
				create,unlink /tmp/.ZendSem.oP5xK2 php-fpm8.2
				create,write,unlink /tmp/phpJq3Xz9 php-fpm8.2:33 2097152
			`,
			want: []string{
				"/run/php", "/tmp", "/var/lib/php/sessions", "/var/log copy-up",
			},
		},
		{
			name: "rabbitmq",
			image: `
				d 0755 999:999 /var/lib/rabbitmq
				d 0755 999:999 /var/log/rabbitmq
				f /etc/rabbitmq/conf.d/10-defaults.conf 800
			`,
			user: User{UID: 999, GID: 999},
			trace: `
				create,write,chmod /var/lib/rabbitmq/.erlang.cookie beam.smp:999 20
				mkdir /var/lib/rabbitmq/mnesia beam.smp:999
				create,write /var/lib/rabbitmq/mnesia/rabbit@host.pid beam.smp:999 2
				create,write,rename /var/lib/rabbitmq/mnesia/rabbit@host/schema.TMP -> /var/lib/rabbitmq/mnesia/rabbit@host/schema.DAT beam.smp:999 9000
				create,write /var/log/rabbitmq/rabbit@host.log beam.smp:999 60000
			`,
			want: []string{"/var/lib/rabbitmq", "/var/log/rabbitmq"},
		},
		{
			name: "grafana",
			image: `
				d 0777 472:0 /var/lib/grafana
				d 0777 472:0 /var/lib/grafana/plugins
				d 0777 472:0 /var/log/grafana
				f /etc/grafana/grafana.ini 70000
				f /usr/share/grafana/public/index.html 3000
			`,
			user: User{UID: 472, GID: 0},
			trace: `
				create,write /var/lib/grafana/grafana.db grafana:472 1300000
				create,write,unlink /var/lib/grafana/grafana.db-journal grafana:472 9000
				mkdir /var/lib/grafana/png grafana:472
				mkdir /var/lib/grafana/csv grafana:472
				mkdir /usr/share/grafana/data grafana:472 !EACCES
			`,
			want:    []string{"/var/lib/grafana copy-up 0777 472:0"},
			refused: []string{"/usr/share/grafana/data"},
		},
		{
			name:  "mosquitto",
			image: "d 0755 100:101 /var/lib/mosquitto\nd 0750 100:0 /var/log/mosquitto\nd /run/mosquitto",
			trace: `
				chown /run/mosquitto mosquitto
				create,write /run/mosquitto/mosquitto.pid mosquitto 2
				create,write /var/log/mosquitto/mosquitto.log mosquitto:100 400
				create,write,rename /var/lib/mosquitto/mosquitto.db.new -> /var/lib/mosquitto/mosquitto.db mosquitto:100 200
			`,
			want: []string{
				"/run/mosquitto", "/var/lib/mosquitto", "/var/log/mosquitto",
			},
		},
		{
			name: "bind9",
			image: `
				d 0775 0:101 /var/cache/bind
				d 0775 0:101 /var/lib/bind
				d 0775 0:101 /run/named
				f 0640 101:101 /etc/bind/rndc.key 100
			`,
			trace: `
				create,write,unlink /run/named/named.pid named:101 2
				create,write /run/named/session.key named:101 100
				create,write,rename /var/cache/bind/tmp-Q8xJ2mPk9s -> /var/cache/bind/managed-keys.bind named:101 1500
				create,write /var/cache/bind/managed-keys.bind.jnl named:101 512
			`,
			want: []string{"/run/named", "/var/cache/bind"},
		},
		{
			name:  "squid makes many cache directories",
			image: "d 0750 13:13 /var/spool/squid\nd 0750 13:13 /var/log/squid\nf /etc/squid/squid.conf 300000",
			trace: `
				mkdir /var/spool/squid/00 squid:13
				mkdir /var/spool/squid/01 squid:13
				mkdir /var/spool/squid/0F/FF squid:13
				create,write,rename /var/spool/squid/swap.state.new -> /var/spool/squid/swap.state squid:13 144
				create,write /var/spool/squid/00/00/00000001 squid:13 4000
				create,write /var/log/squid/access.log squid:13 900
				create,write /var/log/squid/cache.log squid:13 900
				create,write /run/squid.pid squid 3
				create,unlink /dev/shm/squid-cf__metadata.shm squid:13 8 on /dev/shm
			`,
			want: []string{
				"/run copy-up", "/var/log/squid", "/var/spool/squid",
			},
		},
		{
			name: "exim renames between its spool's directories",
			image: `
				d 0750 100:102 /var/spool/exim4/input
				d 0750 100:102 /var/spool/exim4/msglog
				d 0750 100:102 /var/spool/exim4/db
				d 0750 100:102 /var/spool/exim4
				d 2750 100:4 /var/log/exim4
				d 0750 100:102 /run/exim4
				d 2775 0:8 /var/mail
			`,
			trace: `
				create,write,unlink /var/spool/exim4/input/1abcde-000001-Xy-D exim4:100 500
				create,rename /var/spool/exim4/input/hdr.1 -> /var/spool/exim4/input/1abcde-000001-Xy-H exim4:100 900
				create,write,unlink /var/spool/exim4/msglog/1abcde-000001-Xy exim4:100 90
				create,write,unlink /var/spool/exim4/db/retry.lockfile exim4:100
				create,write /var/log/exim4/mainlog exim4:100 900
				create,write /run/exim4/exim.pid exim4 3
			`,
			want: []string{
				"/run/exim4",
				"/var/log/exim4",
				"/var/spool/exim4/db",
				"/var/spool/exim4/input",
				"/var/spool/exim4/msglog",
			},
		},
		{
			name: "postfix moves mail from queue to queue",
			image: `
				d 0700 101:0 /var/spool/postfix/incoming
				d 0700 101:0 /var/spool/postfix/active
				d 1730 101:104 /var/spool/postfix/maildrop
				d 0755 /var/spool/postfix/pid
				d 0700 101:0 /var/spool/postfix/private
				f /var/spool/postfix/etc/resolv.conf 50
				d 0755 101:101 /var/lib/postfix
			`,
			trace: `
				create,write /var/spool/postfix/incoming/3F2A1C9D cleanup:101 900
				rename /var/spool/postfix/incoming/3F2A1C9D -> /var/spool/postfix/active/3F2A1C9D qmgr:101 900
				create,write /var/spool/postfix/pid/master.pid master 3
				bind /var/spool/postfix/private/smtp master:101
				create,write /var/lib/postfix/master.lock master:101 3
			`,
			want: []string{"/var/lib/postfix", "/var/spool/postfix copy-up"},
		},
		{
			name:  "sshd",
			image: "f /etc/ssh/sshd_config 3200\nf 0600 /etc/ssh/ssh_host_rsa_key 2600\nf 0664 /var/log/wtmp 0\nf 0664 /var/log/lastlog 0",
			trace: `
				mkdir /run/sshd sh
				create,write /run/sshd.pid sshd 3
				write /var/log/wtmp sshd 384
				write /var/log/lastlog sshd 292
			`,
			want: []string{"/run copy-up", "/var/log copy-up"},
		},
		{
			name:  "sshd that only makes its directory for privilege separation",
			image: "f /etc/ssh/sshd_config 3200",
			trace: "mkdir /run/sshd sh",
			left:  []Leftover{{Entry: parseEntry(t, "d 0755 /run/sshd")}},
			want:  []string{"/run/sshd"},
		},
		{
			name:  "cron",
			image: "d 1730 0:101 /var/spool/cron/crontabs\nf /etc/crontab 1000",
			trace: "create,write /run/crond.pid cron 3\nutime /var/spool/cron/crontabs crontab",
			want:  []string{"/run copy-up", "/var/spool/cron/crontabs"},
		},
		{
			name:   "with volumes that it has already",
			image:  "d /var/lib/app\nd /var/cache/app",
			mounts: []Mount{{Path: "/var/run"}, {Path: "/var/lib/app"}, {Path: "/etc/app", ReadOnly: true}},
			trace: `
				create,write /run/app.pid app 3
				create,write /var/lib/app/db app 3000 on /var/lib/app
				create,write /etc/app/conf app !EROFS on /etc/app
				create,write /var/cache/app/x app 10
			`,
			want: []string{"/var/cache/app"},
		},
		{
			name:  "with a VOLUME of its image",
			image: "d 0755 7:7 /data",
			trace: "create,write /data/db app:7 3000 on /data\ncreate /dev/shm/x app:7 on /dev/shm",
			want:  []string{"/data"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := Derive(Input{
				Traces: traces(traceOf(t, tc.trace)),
				Left:   tc.left,
				Rootfs: Rootfs{Tree: imageOf(t, debian, tc.image), Mounts: tc.mounts, User: tc.user},
			})
			if diff := cmp.Diff(shortAll(c.Volumes), tc.want); diff != "" {
				t.Errorf("volumes (-got +want):\n%s", diff)
			}
			if diff := cmp.Diff(pathsOf(c.Refused), tc.refused); diff != "" {
				t.Errorf("refused (-got +want):\n%s", diff)
			}
			if diff := cmp.Diff(pathsOf(c.Unsolved), tc.unsolved); diff != "" {
				t.Errorf("unsolved (-got +want):\n%s", diff)
			}
		})
	}
}
