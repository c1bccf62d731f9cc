# shellcheck shell=bash
# bash completion for finbackctl(8). Names and ids are asked of the running finback; where it is not
# reached there are none, without a word.

# What finbackctl prints, with the socket that the line has so far.
_finbackctl_ask() {
	local i options=()
	for ((i = 1; i < cword; i++)); do
		case ${words[i]} in
		--socket) options=(--socket "${words[i + 1]}") ;;
		--socket=*) options=("${words[i]}") ;;
		esac
	done
	command finbackctl "${options[@]}" "$@" 2>/dev/null
}

# The elements of an array stand on lines of their own. A name with a quote in it is left out.
_finbackctl_listeners() {
	_finbackctl_ask status --json |
		sed -n '/^"listeners"/,/^]/s/^  {"name":"\([^"\\]*\)",.*/\1/p'
}

_finbackctl_pools() {
	_finbackctl_ask status --json |
		sed -n '/^"pools"/,/^]/s/^  {"name":"\([^"\\]*\)",.*/\1/p'
}

# _finbackctl_servers FORM - each as sed makes it of \1, the pool, and \2, the name.
_finbackctl_servers() {
	_finbackctl_ask server --json |
		sed -n 's|^  {"pool":"\([^"\\]*\)","name":"\([^"\\]*\)",.*|'"$1"'|p'
}

_finbackctl_ids() {
	_finbackctl_ask sessions --json --brief --limit 1000 | sed -n 's/^  {"id":\([0-9]*\),.*/\1/p'
}

# The words on the line that are neither options nor their values; the first is the command.
_finbackctl_arguments() {
	local i
	for ((i = 1; i < cword; i++)); do
		case ${words[i]} in
		--socket | --state | --listener | --pool | --server | --min-age | --ending-within | \
			--client | --limit | --timeout | --interval) ((i++)) ;;
		-*) ;;
		*) arguments+=("${words[i]}") ;;
		esac
	done
}

_finbackctl_options() {
	local filters=(--state --listener --pool --server --min-age --ending-within --client --limit)
	case $1 in
	'') printf '%s\n' --socket --json --version --help ;;
	status | session | server | reload) printf '%s\n' --socket --json --help ;;
	sessions) printf '%s\n' "${filters[@]}" --ended --brief --socket --json --help ;;
	kill) printf '%s\n' "${filters[@]}" --yes --socket --help ;;
	drain) printf '%s\n' --wait --timeout --socket --json --help ;;
	top) printf '%s\n' --interval --socket --help ;;
	esac
}

_finbackctl_words() {
	case ${arguments[0]-} in
	'') printf '%s\n' status sessions session kill server reload drain top ;;
	session) [ ${#arguments[@]} -gt 1 ] || _finbackctl_ids ;;
	kill) _finbackctl_ids ;;
	server)
		case ${#arguments[@]} in
		1) _finbackctl_servers '\1/\2' ;;
		2) printf '%s\n' ready drain maint ;;
		esac
		;;
	esac
}

# What may stand where the cursor is, one a line.
_finbackctl_candidates() {
	case $prev in
	--listener) _finbackctl_listeners ;;
	--pool) _finbackctl_pools ;;
	--server) _finbackctl_servers '\2' ;;
	--min-age | --ending-within | --timeout | --interval)
		printf '%s\n' 10s 30s 1m 5m 1h 1d ;;
	--state) # the last of several, behind a comma
		local state
		for state in connecting open half_closed half_closed_client half_closed_server \
			closing; do
			printf '%s\n' "${cur%"${cur##*,}"}$state"
		done
		;;
	--client | --limit) ;;
	*)
		if [[ $cur == -* ]]; then
			_finbackctl_options "${arguments[0]-}"
		else
			_finbackctl_words
		fi
		;;
	esac
}

_finbackctl() {
	local cur prev words cword arguments=() word
	_get_comp_words_by_ref -n := cur prev words cword || return
	_finbackctl_arguments
	COMPREPLY=()
	[[ $cur != --*=* ]] || prev=${cur%%=*} cur=${cur#*=}
	if [ "$prev" = --socket ]; then
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
	fi
	# Names go in as they are: compgen -W would expand what they hold.
	while IFS= read -r word; do
		[[ $word == "$cur"* ]] && COMPREPLY+=("$(printf %q "$word")")
	done < <(_finbackctl_candidates)
	__ltrim_colon_completions "$cur"
}

complete -F _finbackctl finbackctl
