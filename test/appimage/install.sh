# Installs packages over the base system and leaves the difference in
# $WORK/upper. It runs in mount and process namespaces of its own, so there is
# nothing to undo. Arguments: the packages. Environment: BASE (root of the base
# system), APT (cache of package lists and packages), WORK, APT_NETWORK (lines
# of apt configuration) and SETUP (commands to run in the new root).
root=$WORK/root

mount -t overlay overlay "$root" \
	-o "lowerdir=$BASE,upperdir=$WORK/upper,workdir=$WORK/overlay,redirect_dir=off,metacopy=off,index=off"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mkdir -p "$APT/lists/partial" "$APT/cache/archives/partial" "$root/var/lib/apt/lists" "$root/var/cache/apt"
mount --bind "$APT/lists" "$root/var/lib/apt/lists"
mount --bind "$APT/cache" "$root/var/cache/apt"

# The names that the machine resolves, for as long as packages are fetched.
cp -L /etc/resolv.conf "$root/tmp/resolv.conf"
[ -e "$root/etc/resolv.conf" ] || : > "$root/etc/resolv.conf"
mount --bind "$root/tmp/resolv.conf" "$root/etc/resolv.conf"
printf '%s\n' "$APT_NETWORK" > "$root/tmp/apt.conf"

in_root() {
	chroot "$root" env -i ${http_proxy:+"http_proxy=$http_proxy"} ${https_proxy:+"https_proxy=$https_proxy"} \
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
		DEBIAN_FRONTEND=noninteractive APT_CONFIG=/tmp/apt.conf "$@"
}

install() {
	in_root apt-get install --quiet --yes --no-install-recommends \
		-o APT::Keep-Downloaded-Packages=true -o Dpkg::Use-Pty=0 "$@"
}

if [ $# -gt 0 ]; then
	# Lists from an earlier day may name packages that are no longer there.
	if ! ls "$APT"/lists/*_Packages* >/dev/null 2>&1 || ! install "$@"; then
		in_root apt-get update --quiet
		install "$@"
	fi
fi
cp -R "$WORK/files/." "$root/"
in_root sh -euc "$SETUP"

rm -f "$root"/var/log/*.log "$root"/var/log/apt/* "$root"/var/cache/ldconfig/* \
	"$root"/var/cache/debconf/*-old "$root"/var/lib/dpkg/*-old "$root/run/adduser"
