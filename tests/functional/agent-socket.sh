#!/bin/bash
# An agent that listens, in a unit of its own: whatever happens to it the plugin goes on, and nobody but
# root and its own user gets anything from it, or is believed.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-activate.sh"
. "$(dirname "$0")/lib-fence.sh"
require jq nc python3

# workers: the processes of the agent's connections, one a line.
workers ()
{
  pgrep -P "$(activated_pid agent)" || true
}

worker_count_is ()
{
  [ "$(workers | wc -l)" -eq "$1" ]
}

make_volume "$dir/disk" 16M
agent_at agent 1s
[ -z "$(activated_pid agent)" ] || fail "the agent was started before anybody asked"
start_server "$dir/disk" "agent-socket=$agent_socket" check-interval=1s check-timeout=2s confirm-delay=100ms
listener=$(activated_pid agent)
assert_json "$(server_status_json)" '.state == "active" and .agent_pid == null'
[ -z "$(pgrep -P "$server_pid")" ] || fail "the server has a child"
nbd_io "write 0 65536 9"

# The agent has nothing of the server's: neither its files nor, in between, the volume key.
worker=$(workers)
assert_eq "$(wc -w <<<"$worker")" 1 "number of workers"
for fd in /proc/"$worker"/fd/*; do
  [[ $(readlink "$fd") != "$dir/disk" ]] || fail "the agent has the volume open"
done
assert_eq "$(tr '\0' '\n' <"/proc/$listener/environ" | grep -c '^LISTEN_')" 3 "it was activated"

# checked_since N: a check has passed since there were N.
good_checks ()
{
  server_status_json | jq .checks.ok
}

checked_since ()
{
  [ "$(good_checks)" -gt "$1" ]
}

# Its worker killed: I/O goes on, and it is asked again by another.
before=$(good_checks)
kill -KILL "$worker"
nbd_io "read 0 65536 9"
wait_for 30 checked_since "$before" || fail "no check has passed since the worker was killed"
[ "$(workers)" != "$worker" ] || fail "the same worker"
assert_eq "$(activated_pid agent)" "$listener" "the listener goes on"
assert_json "$(server_status_json)" '.state == "active"'

# The whole agent killed: the same, and no worker outlives it.
before=$(good_checks)
worker=$(workers)
kill -KILL "$listener"
wait_for 10 dead "$worker" || fail "a worker outlives its listener"
nbd_io "read 0 65536 9"
wait_for 30 checked_since "$before" || fail "no check has passed since the agent was killed"
[ "$(activated_pid agent)" != "$listener" ] || fail "the same agent"
assert_json "$(server_status_json)" '.fences == 0'

# A worker that hangs: that is an outage; it is killed and another one is asked.
worker=$(workers)
kill -STOP "$worker"
wait_for 30 grep 'grace, was active: agent_timeout' "$log" >/dev/null || fail "there was no grace"
wait_for 10 dead "$worker" || fail "a worker that hangs is left there"
await_state active

# Two at once, and many: each has its own worker, and they don't meet.
make_volume "$dir/disk2" 8M
start_named second "$dir/disk2" "agent-socket=$agent_socket" check-interval=1s || fail "no second server"
wait_for 10 worker_count_is 2 || fail "there are not two workers"
for i in 1 2 3 4 5 6 7 8; do
  (for _ in 1 2 3 4 5; do echo "generate $key $dir/wrap$i"; echo "unwrap $dir/wrap$i"; echo "check $dir/wrap$i"; done |
    timeout $((60 * patience)) "$helpers/kms-call" "@$agent_socket" 20000 >"$dir/calls$i") &
done
for _ in 1 2 3 4 5 6 7 8; do
  wait -n || fail "a call did not end"
done
cat "$dir"/calls? >"$dir/calls"
assert_eq "$(grep -c '^ok ' "$dir/calls")" 120 "calls that went well"
wait_for 10 worker_count_is 2 || fail "workers stay when their clients have gone"

# A revoked key is a denial here as anywhere; and it comes back.
control=$KEYFENCE_RUNDIR/$(volume_uuid "$dir/disk").sock
mv "$kek" "$dir/away"
await_state fenced
assert_json "$(server_status_json)" '.reason == "not_found"'
mv "$dir/away" "$kek"
await_state active

# A server's end does not wait for a worker that hangs with a question.
stop_server second
stop_server main
start_server "$dir/disk" "agent-socket=$agent_socket" check-interval=500ms check-timeout=60s
workers | xargs kill -STOP
sleep 2
SECONDS=0
stop_server main
[ "$SECONDS" -lt $((20 * patience)) ] || fail "a server's end has waited for the agent"
wait_for 10 worker_count_is 0 || fail "workers outlive their clients"

# When nobody is connected it goes, and is there again for the next one.
agent_is_gone ()
{
  [ -z "$(activated_pid agent)" ]
}
wait_for 20 agent_is_gone || fail "an idle agent stays"
start_server "$dir/disk" "agent-socket=$agent_socket" require-key=yes
nbd_io "read 0 65536 9"
stop_server

# Nobody there, or no agent: an outage with its reason, and a start that is fenced or refused.
expect_no_start "can't reach the agent at $dir/nobody: nobody listens there" "$dir/disk" "agent-socket=$dir/nobody" require-key=yes
activate stream stream "$KEYFENCE_BUILD/kms/keyfence-agent" --listen
expect_no_start "it is no agent's socket" "$dir/disk" "agent-socket=$dir/stream.activated" require-key=yes
expect_no_start 'parameters agent and agent-socket exclude each other' "$dir/disk" agent=/x agent-socket=/y
expect_no_start 'parameter agent-socket: the path of a socket has at most 107' "$dir/disk" "agent-socket=/$(printf '%0120d' 0)"
start_server "$dir/disk" "agent-socket=$dir/nobody" check-interval=100ms
assert_json "$(server_status_json)" '.state == "fenced" and (.reason | test ("^agent_(start|backoff)$"))'
mv "$agent_socket" "$dir/nobody"
await_state active
stop_server
mv "$dir/nobody" "$agent_socket"

# ---- notifications ----------------------------------------------------------------------------------------
# Posted by the agent, for a server that has no network at all (where we may make it so).
python3 - "$dir/port" "$dir/posted" <<'END' &
import http.server
import os
import sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        with open(sys.argv[2], "ab") as f:
            f.write(self.rfile.read(int(self.headers["Content-Length"])) + b"\n")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_args):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
with open(sys.argv[1] + ".new", "w", encoding="ascii") as f:
    f.write(str(server.server_port))
os.rename(sys.argv[1] + ".new", sys.argv[1])
server.serve_forever()
END
web=$!
at_exit "kill $web 2>/dev/null"
wait_for 20 test -s "$dir/port" || fail "no web server"
(umask 077 && echo "http://127.0.0.1:$(cat "$dir/port")/kfPlanted" >"$dir/url")
# told STATUS COUNT: so many notifications have ended so.
told ()
{
  [ "$(jq -r 'select (.event == "notify") | .status' "$dir/audit" | grep -c "^$1$")" -ge "$2" ]
}
wrapper=${KEYFENCE_WRAPPER:-}
[ "$(id -u)" -ne 0 ] || KEYFENCE_WRAPPER="unshare --net ${KEYFENCE_WRAPPER:-}"
start_server "$dir/disk" "agent-socket=$agent_socket" "notify-url=+$dir/url" "audit-log=$dir/audit"
server_command fence >/dev/null
server_command unfence >/dev/null
wait_for 30 told ok 3 || fail "nobody was notified: $(grep notify "$dir/audit")"
assert_eq "$(jq -rs 'map (.state) | join (" ")' "$dir/posted")" "active fenced active" "what was posted"
kill "$web"
server_command fence >/dev/null
wait_for 30 told failed 1 || fail "a notification that failed is not told of"
assert_match "$(jq -r 'select (.event == "notify") | .detail' "$dir/audit" | tail -n 1)" '^connect: ' "why it failed"
assert_absent "$dir/audit" kfPlanted
assert_absent "$log" kfPlanted
stop_server
KEYFENCE_WRAPPER=$wrapper

# What it does not take.
expect_fail 2 'expected a time, as 60s' "$KEYFENCE_BUILD/kms/keyfence-agent" --listen=soon
expect_fail 2 '^usage: keyfence-agent' "$KEYFENCE_BUILD/kms/keyfence-agent" --listening
nc -U "$dir/stream.activated" </dev/null >/dev/null 2>&1 &
wait_for 10 grep 'no listening socket on file descriptor 3' "$dir/stream.log" >/dev/null || fail "a stream socket is taken"

# ---- who is believed ------------------------------------------------------------------------------------
[ "$(id -u)" -eq 0 ] || exit 0
command -v setpriv >/dev/null || exit 0
nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
chmod 711 "$dir"
chmod 666 "$agent_socket"
echo "generate $key $dir/none" | "${nobody[@]}" "$helpers/kms-call" "@$agent_socket" 5000 >"$dir/calls"
assert_match "$(cat "$dir/calls")" '^outage agent_died ' "a call by another user"
grep 'a connection was refused: its user is neither root' "$dir/agent.log" >/dev/null || fail "nothing is said of it"

# And an agent of another user is not asked.
mkdir "$dir/theirs"
chown 65534 "$dir/theirs"
"${nobody[@]}" "$here/activator.py" seqpacket "$dir/theirs/socket" "$dir/theirs/pid" \
  "$KEYFENCE_BUILD/kms/keyfence-agent" --listen >"$dir/theirs.log" 2>&1 &
at_exit "kill $! 2>/dev/null"
wait_for 20 test -S "$dir/theirs/socket" || fail "$(cat "$dir/theirs.log")"
expect_no_start 'who listens there is neither root nor this user' "$dir/disk" "agent-socket=$dir/theirs/socket" require-key=yes
