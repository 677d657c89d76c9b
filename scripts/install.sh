#!/usr/bin/env bash
# Installs the Debian packages that are named and missing. Usage: install.sh PACKAGE…
set -euo pipefail
missing=()
for package in "$@"; do
	command -v "$package" >/dev/null || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if ! command -v apt-get >/dev/null; then
	echo "Please install ${missing[*]}: the tests need it." >&2
	exit 1
fi
sudo=()
[ "$(id -u)" -eq 0 ] || sudo=(sudo)
"${sudo[@]}" apt-get update -q
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}" libc6-dev
