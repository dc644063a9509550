#!/bin/sh
# Makes sure that the system programs the tests drive are here: Chromium and PostgreSQL's server.
# Installs Debian's packages where the user is root; elsewhere it names what is missing.
set -eu
missing=""
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null 2>&1 || missing="$missing postgresql"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing for the tests:$missing"
  apt-get update -qq
  # shellcheck disable=SC2086  # a list of names
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
  echo "MISSING for the tests:$missing. Install with: apt-get install$missing" >&2
  [ -z "${CI:-}" ] || exit 1
fi
