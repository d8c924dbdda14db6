# What a session of the documentation runs under: "wallaby dev" goes on in the
# background once it is ready, in place of one that ran before it.
wallaby() {
	if [ "$1" != dev ]; then
		command wallaby "$@"
		return
	fi
	shift
	local port_base=$FIRST_PORT ready='const ao = connect'
	case " $* " in
	*" --port-base "*) port_base=$(printf '%s\n' "$*" | sed 's/.*--port-base \([0-9]*\).*/\1/') ;;
	*) set -- "$@" --port-base "$port_base" ;;
	esac
	case " $* " in *" --cluster 3 "*) ready='^n3 .*http' ;; esac
	background "$port_base" "$ready" command wallaby dev "$@" || return
	# A cluster takes part in what is shown once every group has a leader.
	case " $* " in *" --cluster 3 "*) until command wallaby cluster status | grep -q n1 && ! command wallaby cluster status | grep -q '()'; do sleep 0.1; done ;; esac
}

# make makes in the source tree; "make dev" goes on in the background.
make() {
	if [ "$1" = dev ]; then
		background "$FIRST_PORT" 'const ao = connect' command make -C "$SOURCE" dev ARGS="--ephemeral --port-base $FIRST_PORT"
	else
		command make -C "$SOURCE" "$@" >&2
	fi
}

# background starts a command in place of the one that began at a port, waits for a
# line, and shows what was printed until then.
background() {
	local port_base=$1 ready=$2 log=dev-$1.log
	shift 2
	stop "$port_base"
	"$@" >"$log" 2>"$log.err" &
	echo $! >"dev-$port_base.pid"
	until grep -q "$ready" "$log"; do
		kill -0 "$(cat "dev-$port_base.pid")" 2>/dev/null || { cat "$log" "$log.err" >&2; return 1; }
		sleep 0.05
	done
	cat "$log"
}

# stop ends the node that began at a port, and waits for it.
stop() {
	local port_base=${1:-$FIRST_PORT} pid
	[ -f "dev-$port_base.pid" ] || return 0
	pid=$(cat "dev-$port_base.pid")
	rm "dev-$port_base.pid"
	kill -INT "$pid" 2>/dev/null
	while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
}

trap 'for file in dev-*.pid; do [ -f "$file" ] && kill -KILL "$(cat "$file")"; done 2>/dev/null; wait' EXIT
