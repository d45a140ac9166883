#!/bin/bash
# A server in the background accepts clients also where nbdkit's first process is slow to leave.
. "$(dirname "$0")/lib.sh"
make_volume "$dir/disk" 4M
LD_PRELOAD=${KEYFENCE_PRELOAD:-}${KEYFENCE_PRELOAD:+:}$helpers/slow-exit.so \
  "$KEYFENCE" serve --socket "$dir/nbd" --pidfile "$dir/pid" "$dir/disk" >"$dir/serve.log" 2>&1 ||
  fail "keyfence serve: $(cat "$dir/serve.log")"
pid=$(cat "$dir/pid")
at_exit "kill -KILL $pid 2>/dev/null"
sleep 1
uri="nbd+unix:///?socket=$dir/nbd"
timeout $((10 * patience)) "$helpers/nbd-io" "$uri" "write 0 4k 0x41" "read 0 4k 0x41" ||
  fail "the server accepts nobody"
kill "$pid"
wait_for 30 dead "$pid" || fail "the server did not obey SIGTERM"
