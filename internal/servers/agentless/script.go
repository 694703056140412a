package agentless

// surveyScript prints everything that a comparison needs first, in sections. Each
// begins with a line that has $1, a nonce, and the section's name. The other
// arguments are directories whose files are not digested.
//
// The standard error of a command and its exit status are in the section "errors".
// For @runtime@ stand directories below /run, which are on another file system.
//
// File names with a line break are only counted, because the output is one line for
// each file. Digests come last, because they take the longest.
const surveyScript = `
LC_ALL=C QUOTING_STYLE=literal PATH=$PATH:/usr/sbin:/sbin
export LC_ALL QUOTING_STYLE PATH
cd / || exit
n=$1
shift
nl='
'
say() { printf '\n%s %s\n' "$n" "$*"; }
has() { command -v "$1" >/dev/null 2>&1; }

say system
uname -s; uname -m; uname -r
say booted
[ ! -d /run/systemd/system ] || echo systemd
say missing
for tool in find stat sha256sum sed grep cat; do has $tool || echo $tool; done

exec 3>&1
run() {
	errors=$( { "$@" >&3; } 2>&1; echo "exit $?" )
	say errors
	printf '%s\n' "$errors" | sed -n -e '1,1000p' -e '$p'
}
odd="*$nl*"
say entries
run find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path "$odd" \) -prune -o -exec stat -c '%f %u %g %s %t %T %d %n' {} +
say odd
run find / -xdev \( -path /proc -o -path /sys -o -path /dev \) -prune -o -path "$odd" -prune -exec echo odd \;
say links
run find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path "$odd" \) -prune -o -type l -exec stat -c '%N' {} +
runtime='@runtime@'
say runtime
run find $runtime -path "$odd" -prune -o -exec stat -c '%f %u %g %s %t %T %d %n' {} +
say links
run find $runtime -path "$odd" -prune -o -type l -exec stat -c '%N' {} +
if has getfattr; then
	say xattrs
	run find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path "$odd" \) -prune -o ! -type l -exec getfattr -h -d -m - -e hex --absolute-names {} +
fi

# The texts that facts are read from. Of passwords only whether there is one.
for file in /etc/shadow /etc/gshadow; do
	if [ -r $file ]; then
		say file $file
		sed -e 's/^\([^:]*\):\([!*]\)[^:]*:.*/\1:\2:/' -e t -e 's/^\([^:]*\):[^:][^:]*:.*/\1:x:/' -e t -e 's/^\([^:]*\)::.*/\1::/' $file
	fi
done
say texts
run find /etc /usr/lib/os-release /usr/lib/systemd/system /usr/local/lib/systemd/system /lib/systemd/system /usr/share/crypto-policies /usr/lib/sysctl.d /usr/local/lib/sysctl.d /lib/sysctl.d $runtime /var/spool/cron /var/lib/dpkg /var/lib/alternatives /lib/apk/db /usr/lib/apk/db /var/lib/ucf \
	\( -path "$odd" -o -path /etc/ssl/private -o -path /etc/letsencrypt -o -path '/etc/ssh/ssh_host_*' -o -path /etc/machine-id \) -prune -o \
	-type f \( -perm -004 -o -path '/etc/sudoers*' -o -path '/etc/cron*' -o -path '/etc/ssh/sshd_config*' -o -path '/var/spool/cron/*' \) \
	\( ! -path '/var/lib/dpkg/*' -o -path /var/lib/dpkg/status -o -path /var/lib/dpkg/diversions -o -path /var/lib/dpkg/statoverride -o -path '/var/lib/dpkg/alternatives/*' -o -path '/var/lib/dpkg/status.d/*' -o -path '/var/lib/dpkg/info/*.list' -o -path '/var/lib/dpkg/info/*.md5sums' \) \
	-exec sh -c 'n=$1; shift; for file; do printf "\n%s file %s\n" "$n" "$file"; cat "$file"; done' sh "$n" {} +

say mounts
cat /proc/self/mountinfo 2>/dev/null
say modules
cat /proc/modules 2>/dev/null
say sysctls
find /proc/sys -type f -exec grep -s '' /dev/null {} + 2>/dev/null
for table in tcp tcp6 udp udp6; do
	say sockets $table
	cat /proc/net/$table 2>/dev/null
done
say programs
for p in /proc/[0-9]*; do
	read -r name <$p/comm || continue
	printf '=%s\n' "$name"
	ls -l $p/fd | sed -n 's/.*socket:\[\([0-9]*\)\]$/\1/p'
done 2>/dev/null

# Last, as it takes longest: the content of files.
for dir; do
	set -- "$@" -path "$dir" -o
	shift
done
say sums
run find / -xdev \( "$@" -path "$odd" \) -prune -o -type f -exec sha256sum {} +
say end
`

// textScript prints at most $2 bytes of the file $1.
const textScript = `[ -f "$1" ] || exit 44
head -c "$2" "$1"
`

// exitNoText is the exit status of textScript if the file does not exist.
const exitNoText = 44

// sumsScript prints the MD5 of the files whose names it reads, each of which ends in
// a NUL byte. It succeeds even if a file is gone, which is then missing.
const sumsScript = `LC_ALL=C xargs -0 md5sum 2>/dev/null
:
`

// runScript runs a program that reports facts about the server, if it is installed.
const runScript = `command -v "$1" >/dev/null 2>&1 || { echo "it is not installed" >&2; exit 127; }
LC_ALL=C SYSTEMD_COLORS=0
export LC_ALL SYSTEMD_COLORS
exec "$@"
`
