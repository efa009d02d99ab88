#!/bin/sh
# Redis with its password in a file only it can read, not in its arguments.
set -eu
umask 077
cat >/tmp/redis.conf <<CONF
requirepass $REDIS_PASSWORD
dir /data
appendonly yes
CONF
exec redis-server /tmp/redis.conf
