#!/bin/bash
# Between checks that follow each other closely, by a key service that is slow but well, a reload gets an
# answer, and disturbs nothing: no check fails for it, no agent is killed, and nothing is fenced.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
. "$(dirname "$0")/lib-fence.sh"
require jq nc
azure_start
azure_key kek
make_volume "$dir/disk" 16M
start_server "$dir/disk" "${fast[@]}" grace=0
ctl fault delay $((300 * pace))ms --op UnwrapKey
agent_pid=$(server_status_json | jq .agent_pid)
for i in 1 2 3 4 5 6 7 8 9; do
  assert_json "$(server_command reload)" '.result.class == "ok"' "reload number $i"
  sleep "0.$i"
done
assert_json "$(server_status_json)" ".fences == 0 and .checks.outage == 0 and .agent_pid == $agent_pid"
stop_server
