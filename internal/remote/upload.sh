# Writes stdin to a new file. Arguments: what it will replace, the new file, its
# size in bytes.
LC_ALL=C
export LC_ALL
fail() {
	rm -f "$new" # first: nobody may listen any more, and SIGPIPE ends this
	[ -z "$1" ] || echo "put: $1" >&2
	exit 1
}
place=$1 new=$2
if [ -d "$place" ]; then
	echo "put: it is a directory" >&2
	exit 1
fi
umask 077
set -C # O_EXCL
exec 3>"$new" || exit 1
cat >&3 || fail
[ "$(wc -c <"$new")" -eq "$3" ] || fail "only a part of it arrived"
