#!/usr/bin/env bash
# Installs what the system lacks: `build` needs a C compiler and Python's headers, `test` also Node.js, Chromium,
# OpenSSL's headers (for the plain C floor of the benchmarks), the shells that completion scripts are for, and what the
# files in deploy/ are for. Uses apt where it may, else says what to install.
set -euo pipefail

missing=()
need() { # need COMMAND-OR-FILE PACKAGE
    if [[ $1 == /* ]]; then [[ -e $1 ]] || missing+=("$2"); else command -v "$1" >/dev/null || missing+=("$2"); fi
}

need gcc gcc
python_include=$(python3 -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
need "$python_include/Python.h" python3-dev
python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
if [[ ${1:-build} == test ]]; then
    need node nodejs
    need npm npm
    need chromium chromium
    need chromedriver chromium-driver
    need openssl openssl
    need /usr/sbin/nginx nginx
    need /usr/sbin/haproxy haproxy
    need systemd-analyze systemd
    need zsh zsh
    need fish fish
    need promtool prometheus
    need redis-server redis-server
    need redis-sentinel redis-sentinel
    need redis-benchmark redis-tools
fi
((${#missing[@]})) || exit 0

if ! command -v apt-get >/dev/null; then
    echo "Please install: ${missing[*]} (Debian's names), then run make again." >&2
    exit 1
fi
sudo=()
if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
        echo "Please run as root: apt-get install ${missing[*]}   Then run make again." >&2
        exit 1
    fi
    sudo=(sudo)
fi
echo "installing ${missing[*]}"
"${sudo[@]}" apt-get update -qq
# Only the programs are wanted: no service of theirs (nginx, prometheus, redis) may start and take its port.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
    trap '"${sudo[@]}" rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null
    "${sudo[@]}" chmod 755 "$policy"
fi
DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq "${missing[@]}" >/dev/null
