#!/bin/bash
# engine_is_pure.sh NM ARCHIVE - the engine makes no system call, reads no clock and calls no other
# library: each symbol that its archive needs and does not define is in the list below.
set -u
export LC_ALL=C # sort and comm agree on an order

allowed='memcpy|memmove|memset|memcmp|memchr|strcmp|strlen|strchr|strcspn|calloc|malloc|free|qsort'
allowed+='|bcmp' # what clang makes of a memcmp that is compared with 0
allowed+='|__assert_fail|__stack_chk_fail|__(memcpy|memmove|memset)_chk|_GLOBAL_OFFSET_TABLE_'
allowed+='|__(asan|ubsan|tsan|sanitizer)_[a-z0-9_]+'

nm=${1:?usage: engine_is_pure.sh NM ARCHIVE}
archive=${2:?usage: engine_is_pure.sh NM ARCHIVE}

defined=$("$nm" -g --defined-only -P "$archive" | awk 'NF > 1 { print $1 }' | sort -u)
if [ -z "$defined" ]; then
	echo "$archive: no symbol found: an archive, and $nm can read it?" >&2
	exit 1
fi

needed=$("$nm" -u -P "$archive" | awk 'NF > 1 { print $1 }' | sort -u)
foreign=$(comm -23 <(printf '%s\n' "$needed") <(printf '%s\n' "$defined") |
	grep -vxE "$allowed|")
if [ -n "$foreign" ]; then
	printf '%s: the engine must not need: %s\n' "$archive" "${foreign//$'\n'/ }" >&2
	exit 1
fi
printf '%s: %s symbols, all its own or allowed\n' "$archive" "$(wc -l <<<"$defined")"
