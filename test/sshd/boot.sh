# Prepares a server and then executes sshd as its first process. It runs in the
# server's namespaces with the machine's programs. Environment: DISK, LOWER, NAME,
# ADDRESS (with its prefix length), GATEWAY, and CGROUP if systemd is the first
# process.

# /proc is still the machine's, so it has this process's number on the machine.
read -r pid rest </proc/self/stat
echo "$pid" >&3
exec 3>&-
read -r go # the link exists
[ "$go" = go ]

mount --make-rprivate /
mount -t overlay overlay "$DISK/root" \
	-o "lowerdir=$LOWER,upperdir=$DISK/upper,workdir=$DISK/work,redirect_dir=off,metacopy=off,index=off"
cd "$DISK/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
mkdir -m 755 run/sshd run/lock dev/pts
mkdir -m 1777 dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for d in 'null 1 3' 'zero 1 5' 'full 1 7' 'random 1 8' 'urandom 1 9' 'tty 5 0'; do
	# shellcheck disable=SC2086 # three words
	set -- $d
	mknod -m 666 "dev/$1" c "$2" "$3"
done

echo "$NAME" >proc/sys/kernel/hostname
if [ -n "$CGROUP" ]; then
	mount -t cgroup2 cgroup2 sys/fs/cgroup
	# systemd would change settings of the machine there.
	mount --bind proc/sys proc/sys
	mount -o remount,bind,ro proc/sys
	# The settings of the network are those of the server's namespace.
	mount -t proc proc mnt
	mount --bind mnt/sys/net proc/sys/net
	umount -l mnt
fi
# Each boot has an id of its own. A file without a name has no path of the machine.
cat /proc/sys/kernel/random/uuid >dev/boot_id
chmod 444 dev/boot_id
mount --bind dev/boot_id proc/sys/kernel/random/boot_id
rm dev/boot_id
ip link set lo up
ip address add "$ADDRESS" dev eth0
ip link set eth0 up
ip route add default via "$GATEWAY"

pivot_root . mnt
cd /
umount -l mnt
if [ -n "$CGROUP" ]; then
	exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin container=lab \
		/lib/systemd/systemd --system --unit=multi-user.target --show-status=no </dev/null
fi
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	/usr/sbin/sshd -D -e </dev/null
