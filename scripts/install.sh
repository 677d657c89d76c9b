#!/usr/bin/env bash
# Installs the Debian packages of commands and files that are missing. Where a
# package is called differently, it follows: install.sh gcc qemu-aarch64=qemu-user
set -euo pipefail
missing=()
for wanted in "$@"; do
	command -v "${wanted%%=*}" >/dev/null || [ -f "${wanted%%=*}" ] || missing+=("${wanted#*=}")
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
