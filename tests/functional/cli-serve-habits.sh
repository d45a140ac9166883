#!/bin/bash
# What people do around serve: copies, second servers, terminals that close, nbdkit's own options.
. "$(dirname "$0")/lib.sh"
require jq setsid
not_under_wrapper "the server is started by keyfence itself, without the wrapper"

stop_background ()
{
  [ ! -s "$dir/pid" ] || kill "$(cat "$dir/pid")" 2>/dev/null || true
}
at_exit stop_background

make_volume "$dir/disk" 8M --label mine
keyfence serve --pidfile "$dir/pid" "$dir/disk" >/dev/null
server=$(keyfence status --json mine | jq .pid)

# A second server is refused, and told who the first one is, not where it listens.
expect_fail 1 "in use by process $server " keyfence serve "$dir/disk"
expect_fail 1 "in use by process $server " keyfence serve --socket "$dir/other.nbd" "$dir/disk"

# A copy is not the volume that is served, though it has its uuid.
cp "$dir/disk" "$dir/copy"
expect_fail 1 "copy is not served" keyfence status "$dir/copy"
ln -s disk "$dir/link"
keyfence status "$dir/link" >/dev/null

# It has a session of its own: what happens to the caller's terminal is nothing to it.
assert_eq "$(ps -o tty= -p "$server" | tr -d ' ')" '?' "terminal of the server"
[ "$(ps -o sid= -p "$server")" -ne "$(ps -o sid= -p $$)" ] || fail "the server is in our session"
stop_background
wait_for 30 dead "$server" || fail "the server did not end"

# What would end before we are back is refused; where nbdkit listens is what is printed.
expect_fail 2 'run goes with --foreground only' keyfence serve "$dir/disk" -- --run 'true'
expect_fail 2 'single goes with --foreground only' keyfence serve "$dir/disk" -- --single
port=$((20000 + RANDOM % 20000))
keyfence serve --port "$port" --pidfile "$dir/pid" --json "$dir/disk" -- --ipaddr=127.0.0.2 >"$dir/started"
assert_eq "$(jq -r .uri "$dir/started")" "nbd://127.0.0.2:$port" uri
nbdinfo --size "$(jq -r .uri "$dir/started")" >/dev/null

# What is in use is named.
make_volume "$dir/other" 1M
expect_fail 1 "something else listens at port $port of 127.0.0.2: stop it first, or choose another --port" \
  keyfence serve --port "$port" "$dir/other" -- --ipaddr=127.0.0.2
