#!/bin/sh
# Makes sure that the programs the tests drive are here: Chromium, PostgreSQL's server, Node, and the rating of headers by
# MDN HTTP Observatory in its pinned version (without install scripts: those would download lists).
# Installs Debian's packages where the user is root; elsewhere it names what is missing.
set -eu
cd "$(dirname "$0")/.."
missing=""
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null 2>&1 || missing="$missing postgresql"
command -v node >/dev/null 2>&1 || missing="$missing nodejs"
command -v npm >/dev/null 2>&1 || missing="$missing npm"
if [ -z "$missing" ]; then
  :
elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing for the tests:$missing"
  apt-get update -qq
  # shellcheck disable=SC2086  # a list of names
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
  echo "MISSING for the tests:$missing. Install with: apt-get install$missing" >&2
  [ -z "${CI:-}" ] || exit 1
fi

rating=.venv/observatory
lock=tests/security/observatory/package-lock.json
if command -v npm >/dev/null 2>&1 && ! cmp -s "$lock" "$rating/installed.json"; then
  echo "Installing the rating of headers into $rating (once)"
  mkdir -p "$rating"
  cp -R tests/security/observatory/package.json "$lock" tests/security/observatory/none "$rating/"
  npm ci --prefix "$rating" --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
  cp "$lock" "$rating/installed.json"
fi
