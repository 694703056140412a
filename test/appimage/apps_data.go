package appimage

// redis is Debian's redis, started as root as `docker run` would.
func redis() App {
	return App{
		Name:     "redis",
		Packages: []string{"redis-server"},
		Setup:    redisRunDir,
		Cmd:      []string{"redis-server", "/etc/redis/redis.conf", "--daemonize", "no"},
		Port:     6379,
		Exercise: redisExercise,
	}
}

// redisUser is the same as redis's own user, with a database that was saved
// before the image was made.
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

// redisRunDir makes what systemd's RuntimeDirectory= makes on a host.
const redisRunDir = `install -d -o redis -g redis -m 2755 /run/redis`

var redisExercise = []string{"sh", "-euc", `
	redis-cli set key value
	redis-cli save
	redis-cli bgrewriteaof
	test "$(redis-cli get key)" = value`}
