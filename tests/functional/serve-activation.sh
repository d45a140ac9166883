#!/bin/bash
# A server at a socket that outlives it: clients that come while it is restarted wait, and find what was
# acknowledged.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-activate.sh"
require jq python3
not_under_wrapper "the server is started by keyfence itself, without the wrapper"

export KEYFENCE_CONFDIR=$dir/conf
mkdir "$KEYFENCE_CONFDIR"
make_volume "$dir/disk" 64M
printf '%s\n' "path = $dir/disk" "socket = $dir/main.activated" >"$KEYFENCE_CONFDIR/disk.conf"

# A start takes its time, so that who is not queued would be refused.
printf '#!/bin/sh\n[ ! -e "%s/slow" ] || sleep 1\nexec "$@"\n' "$dir" >"$dir/start"
chmod +x "$dir/start"
activate main stream "$dir/start" "$KEYFENCE" serve --foreground --config disk cache=writeback
uri="nbd+unix:///?socket=$dir/main.activated"
control=$KEYFENCE_RUNDIR/$(volume_uuid "$dir/disk").sock

# The first client starts it.
[ -z "$(activated_pid main)" ] || fail "it was started before anybody came"
nbd_io "write 0 1M 1" flush
server=$(activated_pid main)
assert_json "$(keyfence status --json disk)" ".state == \"active\" and .pid == $server"
[ ! -s "$dir/main.log" ] || ! grep -n 'make them equal' "$dir/main.log" || fail "it complains of its socket"

# restart SIGNAL: while it is away, three clients come; each gets what the one before it was told is written.
touch "$dir/slow"
generation=1
restart ()
{
  local before clients=() i

  before=$(activated_pid main)
  nbd_io "write $generation""M 1M $generation" # acknowledged, not flushed
  kill "-$1" "$before"
  wait_for 20 dead "$before" # who comes before that may be let in, and out again
  for i in 1 2 3; do
    nbd_io "read ${generation}M 1M $generation" "write $((generation * 4 + i + 20))M 4k $i" &
    clients+=($!)
  done
  for i in "${clients[@]}"; do
    wait "$i" || fail "a client was refused, or read something else, after SIG$1"
  done
  runs_another main "$before" || fail "there was no restart"
  nbd_io "read $((generation * 4 + 21))M 4k 1" "read $((generation * 4 + 23))M 4k 3"
  generation=$((generation + 1))
}
restart TERM
restart KILL
restart TERM

# One writer over many restarts: every block that was acknowledged is there afterwards.
rm "$dir/slow"
written=0
for i in 1 2 3 4 5 6; do
  while [ "$written" -lt $((i * 20)) ]; do
    nbd_io "write $((40 * 1024 + written * 4))k 4k $((written % 250 + 1))" || fail "a write was refused"
    written=$((written + 1))
  done
  server=$(activated_pid main)
  kill "$server"
  wait_for 20 dead "$server"
done
reads=()
for ((i = 0; i < written; i++)); do
  reads+=("read $((40 * 1024 + i * 4))k 4k $((i % 250 + 1))")
done
nbd_io "${reads[@]}"

# What does not go together with a socket that is given, and whose it is.
given ()
{
  # shellcheck disable=SC2016  # for the shell that is run
  bash -c 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"' -- "$@"
}
expect_fail 2 'the service manager has opened a socket for this server already' \
  given "$KEYFENCE" serve --foreground --config disk --socket /x --dry-run
expect_fail 2 'needs --foreground' given "$KEYFENCE" serve --config disk --dry-run
given "$KEYFENCE" serve --foreground --config disk --dry-run >"$dir/output"
assert_match "$(cat "$dir/output")" '^nbdkit --foreground [^-]' "no address of our own"
LISTEN_FDS=1 LISTEN_PID=1 "$KEYFENCE" serve --foreground --config disk --dry-run >"$dir/output"
assert_match "$(cat "$dir/output")" "--unix=$dir/main.activated" "somebody else's socket"

# A configuration that has another socket than the one that is given is told of.
stop_server main
printf '%s\n' "path = $dir/disk" "socket = $dir/elsewhere.nbd" >"$KEYFENCE_CONFDIR/disk.conf"
activate second stream "$KEYFENCE" serve --foreground --config disk
uri="nbd+unix:///?socket=$dir/second.activated"
nbd_io "read 0 1M 1"
grep "has socket = $dir/elsewhere.nbd, but the service manager listens at $dir/second.activated" "$dir/second.log" >/dev/null ||
  fail "nothing is said of two sockets"
