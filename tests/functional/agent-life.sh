#!/bin/bash
# Whatever happens to the agent, the plugin goes on: I/O is served, and the agent is started again.
. "$(dirname "$0")/lib.sh"
require jq nc

agent_pid ()
{
  server_status_json | jq '.agent_pid // 0'
}

# another_agent PID: there is one, and it is not that one.
another_agent ()
{
  local now

  now=$(agent_pid)
  [ "$now" -ne 0 ] && [ "$now" -ne "$1" ] && alive "$now"
}

make_volume "$dir/disk" 16M
start_server "$dir/disk"
nbd_io "write 0 65536 9"
first=$(agent_pid)
assert_eq "$(ps -o ppid= -p "$first" | tr -d ' ')" "$server_pid" "parent of the agent"

# Killed: I/O goes on at once, and soon there is another.
kill -KILL "$first"
nbd_io "read 0 65536 9"
wait_for 30 another_agent "$first" || fail "the agent was not started again"
second=$(agent_pid)

# Stopped: nothing asks it now, so nothing is lost and nobody waits for it.
kill -STOP "$second"
nbd_io "read 0 65536 9"
assert_json "$(server_status_json)" '.state == "active"'

# It goes with its server, even so.
stop_server
wait_for 10 dead "$second" || fail "a stopped agent outlives its server"

# Also when the server is killed.
start_server "$dir/disk"
third=$(agent_pid)
kill_server
wait_for 10 dead "$third" || fail "the agent outlives a killed server"

# No agent at all, or one that answers nothing: a start that is refused or fenced, and no hang.
expect_no_start "can't start the agent" "$dir/disk" agent=/nonexistent require-key=yes
printf '#!/bin/sh\nexec sleep 1000\n' >"$dir/deaf-agent"
chmod +x "$dir/deaf-agent"
expect_no_start "no answer within" "$dir/disk" "agent=$dir/deaf-agent" require-key=yes \
  check-timeout=500ms
start_server "$dir/disk" "agent=$dir/deaf-agent" check-timeout=500ms check-interval=100ms
assert_json "$(server_status_json)" '.state == "fenced" and (.reason | test ("^agent_(timeout|backoff)$"))'
stop_server
