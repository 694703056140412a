# Puts a new file in the place of another. Arguments: the place, the new file,
# its mode, its SHA-256.
LC_ALL=C
export LC_ALL
fail() {
	rm -f "$new" # first: nobody may listen any more, and SIGPIPE ends this
	[ -z "$1" ] || echo "put: $1" >&2
	exit 1
}
place=$1 new=$2
if command -v sha256sum >/dev/null 2>&1; then
	sum=$(sha256sum <"$new") || fail
	[ "${sum%% *}" = "$4" ] || fail "what was written is not what was sent"
fi
chmod "$3" "$new" || fail
sync "$new" || fail
[ ! -d "$place" ] || fail "it is a directory"
mv -f "$new" "$place" || fail
sync "${place%/*}/"
