# Keeps one Postgres cluster, and does with it what it is told on standard input. When that ends,
# because whoever started the keeper has, the cluster and its folder go.
# Arguments: the folder of the server's binaries, then settings of the cluster, NAME=VALUE each.
set -eu
cd /
binaries=$1
shift

folder=$(mktemp -d "${TMPDIR:-/tmp}/breakerd-pg-XXXXXX")
server=
trap finish EXIT
# Only the end of standard input ends the keeper, not a signal meant for the whole terminal.
trap '' INT TERM HUP

finish() {
    if [ -n "$server" ]; then
        signal CONT
        kill -QUIT "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$folder"
}

# To the server and to all of its processes.
signal() {
    # shellcheck disable=SC2046 # one word for each process
    kill "-$1" "$server" $(ps -o pid= --ppid "$server") 2>/dev/null || true
}

start() {
    "$binaries/postgres" -D "$folder/data" -k "$folder" </dev/null >>"$folder/log" 2>&1 &
    server=$!
    until "$binaries/pg_isready" -q -h "$folder"; do
        if ! kill -0 "$server" 2>/dev/null; then
            cat "$folder/log" >&2
            exit 1
        fi
        sleep 0.02
    done
}

"$binaries/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 --locale=C --no-sync \
    --no-instructions >"$folder/log" 2>&1 || { cat "$folder/log" >&2; exit 1; }
{
    # Reachable through its folder alone, so that clusters never meet over a port.
    echo "listen_addresses = ''"
    for setting; do
        echo "${setting%%=*} = '${setting#*=}'"
    done
} >>"$folder/data/postgresql.conf"
start
echo "$folder"

while read -r order; do
    case $order in
    start) start ;;
    stop) kill -INT "$server"; wait "$server" || true ;;
    kill) signal KILL; wait "$server" || true ;;
    pause) signal STOP ;;
    resume) signal CONT ;;
    alive)
        # One that has ended and that nobody has waited for yet is a zombie.
        case $(ps -o stat= -p "$server") in
        '' | Z*) echo no ;;
        *) echo yes ;;
        esac
        continue
        ;;
    esac
    echo done
done
