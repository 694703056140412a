#!/bin/sh
# Stops the daemon when the package is removed, and not when it is upgraded: deb
# passes "remove", rpm the number of versions that are left. Pods go on running;
# adamant reset --yes removes them, before the package is removed.
case ${1:-} in
remove | 0)
	if [ -d /run/systemd/system ]; then systemctl disable --now adamant.service || true; fi
	;;
esac
