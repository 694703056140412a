package appimage

// redis is Debian's redis, started as root as `docker run` would.
func redis() App {
	return App{
		Name:     "redis",
		Packages: []string{"redis-server"},
		Setup:    `install -d -o redis -g redis -m 2755 /run/redis`,
		Cmd:      []string{"redis-server", "/etc/redis/redis.conf", "--daemonize", "no"},
		Port:     6379,
		Exercise: shell(`
			redis-cli set key value
			redis-cli save
			redis-cli bgrewriteaof
			test "$(redis-cli get key)" = value`),
	}
}

// redisUser is redis as its own user, with a database in the image.
func redisUser() App {
	a := redis()
	a.Name, a.User = "redis-user", "redis"
	a.Setup += `
		cd /var/lib/redis
		su -s /bin/sh redis -c 'redis-server --port 0 --unixsocket /tmp/redis.sock --daemonize yes'
		until redis-cli -s /tmp/redis.sock set baked yes; do sleep 0.1; done
		redis-cli -s /tmp/redis.sock save
		redis-cli -s /tmp/redis.sock shutdown nosave`
	return a
}

// postgres serves the cluster that Debian's package creates when it is
// installed, so the image has content where the program writes.
func postgres() App {
	return App{
		Name:       "postgres",
		Packages:   []string{"postgresql"},
		Setup:      `install -d -o postgres -g postgres -m 2775 /run/postgresql`,
		User:       "postgres",
		Cmd:        []string{"sh", "-c", "exec /usr/lib/postgresql/*/bin/postgres -D /etc/postgresql/*/main"},
		Port:       5432,
		StopSignal: "SIGINT",
		Exercise:   postgresExercise,
	}
}

// postgresInitdb has no cluster. Its entry point creates one as an ordinary
// user, and sets the mode of an existing directory.
func postgresInitdb() App {
	a := postgres()
	a.Name = "postgres-initdb"
	a.Setup += `
		pg_dropcluster "$(ls /etc/postgresql)" main
		install -d -o postgres -g postgres -m 700 /var/lib/postgresql/data`
	a.Files = map[string]string{"/usr/local/bin/entrypoint": `#!/bin/sh
set -eu
bin=$(echo /usr/lib/postgresql/*/bin)
[ -s "$PGDATA/PG_VERSION" ] || "$bin/initdb" --username=postgres
exec "$bin/postgres"
`}
	a.Cmd = []string{"entrypoint"}
	a.Env = []string{"PGDATA=/var/lib/postgresql/data"}
	return a
}

// The query sorts more data than fits into its memory limit, so it uses a
// temporary file.
var postgresExercise = shell(`
	psql -q -v ON_ERROR_STOP=1 -c 'create table if not exists t (a int)' -c 'truncate t' \
		-c 'insert into t select generate_series(1, 100000)' -c 'checkpoint' \
		-c 'set work_mem = 64' -c 'select count(*) from (select a from t order by a) s'`)

// mariadb serves the data directory that its package creates.
func mariadb() App {
	return App{
		Name:     "mariadb",
		Packages: []string{"mariadb-server"},
		Setup:    `install -d -o mysql -g root -m 755 /run/mysqld`,
		Cmd:      []string{"mariadbd", "--user=mysql"},
		Port:     3306,
		// The queries use a temporary table on disk and a sort that spills.
		Exercise: shell(`
			mariadb -e 'create database if not exists d; use d; create table if not exists t (a int);
				insert into t select seq from seq_1_to_50000; flush tables;
				set tmp_table_size = 1024, sort_buffer_size = 1024;
				select count(*) from (select distinct a, repeat("x", 600) b from d.t order by b, a limit 40000) s'`),
	}
}

// memcached keeps everything in memory and writes no file at all.
func memcached() App {
	return App{
		Name:     "memcached",
		Packages: []string{"memcached"},
		User:     "memcache",
		Cmd:      []string{"memcached"},
		Port:     11211,
		Exercise: []string{"bash", "-euc", `
			exec 3<>/dev/tcp/127.0.0.1/11211
			printf 'set key 0 0 5\r\nvalue\r\nquit\r\n' >&3
			read -r answer <&3
			test "$answer" = $'STORED\r'`},
	}
}
