#!/bin/sh
# As the official image: its data belong to `redis`, who runs the server.
set -eu
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
  chown -R redis .
  exec setpriv --reuid redis --regid redis --clear-groups "$@"
fi
exec "$@"
