#!/bin/sh
# Makes the unit known to systemd. It is neither enabled nor started: most uses of
# adamant need no daemon.
if [ -d /run/systemd/system ]; then systemctl daemon-reload || true; fi
