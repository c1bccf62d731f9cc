# shellcheck shell=bash
# common.sh - sourced by the scripts beside it, which then work at the top of the tree: what to
# install, how to build a preset, under which settings sanitized programs run.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
export PYTHONDONTWRITEBYTECODE=1

export ASAN_OPTIONS=abort_on_error=1:detect_leaks=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=0:exitcode=66

# shellcheck disable=SC2034 # used by the scripts that source this one
{
	ROOT=$PWD
	PYTHON=/usr/bin/python3 # Debian's: the one its python3-* packages are for
	BUILD_PACKAGES=(gcc libc6-dev cmake ninja-build pkg-config
		libev-dev libconfig-dev libsystemd-dev libcmocka-dev
		libmicrohttpd-dev libjansson-dev libncurses-dev libcurl4-openssl-dev)
	CLANG_PACKAGES=(clang libclang-rt-dev)
	CHECK_PACKAGES=(clang-format clang-tidy cppcheck shellcheck python3 python3-pyflakes)
	TEST_PACKAGES=(python3 python3-pytest python3-pytest-xdist python3-pytest-timeout python3-yaml
		iproute2 nftables netcat-openbsd socat curl git haproxy nginx openssh-client
		openssh-server procps strace systemd util-linux
		prometheus chromium chromium-driver python3-selenium python3-pyte
		bash-completion zsh
		redis-server memcached libmemcached-tools mosquitto mosquitto-clients rabbitmq-server
		postgresql mariadb-server ngircd prosody inetutils-telnetd inetutils-telnet openssl
		python3-redis python3-pymemcache python3-paho-mqtt python3-pika python3-stomp)
}

me=${0##*/}

say() {
	printf '%s: %s\n' "$me" "$*"
}

die() {
	printf '%s: %s\n' "$me" "$*" >&2
	exit 1
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif [ -t 0 ]; then
		sudo "$@"
	else
		sudo -n "$@"
	fi
}

# Keeps packages from starting their services while they are installed, unless the machine has its
# own word on that. In a subshell, whose end takes the policy away again whatever happened.
install_packages() (
	policy=/usr/sbin/policy-rc.d
	if [ ! -e $policy ]; then
		trap 'as_root rm -f $policy' EXIT
		printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null &&
			as_root chmod 755 $policy || exit 1
	fi
	as_root apt-get update -q &&
		as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
			--no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
)

missing_packages() {
	local package
	for package in "$@"; do
		case $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null) in
		*' ok installed') ;;
		*) printf '%s\n' "$package" ;;
		esac
	done
}

# need PACKAGE... - installs those that are missing. Where all are there, nobody is asked for rights.
need() {
	local missing log
	if ! command -v dpkg-query >/dev/null; then
		say "no Debian system; these packages' like must be there: $*"
		return
	fi
	mapfile -t missing < <(missing_packages "$@")
	[ ${#missing[@]} -gt 0 ] || return 0
	say "installing ${missing[*]}"
	log=$(mktemp) || die "mktemp: cannot make a file for the log of apt-get"
	install_packages "${missing[@]}" >"$log" 2>&1 || {
		tail -n 20 "$log" >&2
		rm -f "$log"
		die "cannot install ${missing[*]}: install them as root, then run this again"
	}
	rm -f "$log"
}

# build PRESET LOG - configures and builds. What went wrong is at the end of LOG, and shown.
build() {
	mkdir -p "$(dirname "$2")"
	{ cmake --preset "$1" && cmake --build --preset "$1"; } >"$2" 2>&1 && return
	printf '%s: cannot build preset %s; the end of %s:\n' "$me" "$1" "$2" >&2
	grep -vE '^\[[0-9]+/[0-9]+\] (Building|Linking)' "$2" | tail -n 40 >&2
	return 1
}
