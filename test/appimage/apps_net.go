package appimage

// mosquitto writes its messages to a file on request and when it ends.
func mosquitto() App {
	return App{
		Name:     "mosquitto",
		Packages: []string{"mosquitto", "mosquitto-clients"},
		Setup:    `install -d -o mosquitto -g mosquitto -m 755 /run/mosquitto`,
		Cmd:      []string{"mosquitto", "-c", "/etc/mosquitto/mosquitto.conf"},
		Port:     1883,
		Exercise: shell(`
			mosquitto_pub -h 127.0.0.1 -r -t adamant -m value
			kill -USR1 1
			test "$(mosquitto_sub -h 127.0.0.1 -t adamant -C 1 -W 5)" = value`),
	}
}

// bind9 is a name server with its control channel.
func bind9() App {
	return App{
		Name:     "bind9",
		Packages: []string{"bind9", "bind9-dnsutils"},
		Setup:    `install -d -o root -g bind -m 775 /run/named`,
		Cmd:      []string{"named", "-f", "-u", "bind"},
		Port:     53,
		Exercise: shell(`
			dig +short +time=2 +tries=1 @127.0.0.1 localhost | grep -q 127.0.0.1
			rndc dumpdb -cache`),
	}
}

// openssh accepts a login by key from its own container.
func openssh() App {
	return App{
		Name:     "openssh",
		Packages: []string{"openssh-server", "openssh-client"},
		Setup: `
			install -d -m 755 /run/sshd
			install -d -m 700 /root/.ssh
			ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
			cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys`,
		Cmd:  []string{"/usr/sbin/sshd", "-D", "-e"},
		Port: 22,
		Exercise: shell(`
			ssh -tt -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@127.0.0.1 true`),
	}
}

// rabbitmq has many processes in a virtual machine, as an ordinary user with a
// home directory.
func rabbitmq() App {
	return App{
		Name:     "rabbitmq",
		Packages: []string{"rabbitmq-server"},
		Setup:    `rm -f /var/lib/rabbitmq/.erlang.cookie`,
		User:     "rabbitmq",
		Env:      []string{"HOME=/var/lib/rabbitmq"},
		Dir:      "/var/lib/rabbitmq",
		Cmd:      []string{"rabbitmq-server"},
		Port:     5672,
		Exercise: shell(`
			rabbitmqctl --timeout 30 await_startup
			rabbitmqctl eval 'rabbit_amqqueue:declare(rabbit_misc:r(<<"/">>, queue, <<"q">>), true, false, [], none, <<"guest">>).'`),
	}
}
