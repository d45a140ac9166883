#!/bin/bash
# Every way in which an owner says no in Azure Key Vault fences a running server, within its bound; no
# outage does.
# shellcheck disable=SC2016,SC2034  # commands that lib-fence.sh evaluates, and what they name
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
. "$(dirname "$0")/lib-fence.sh"
require jq nc
azure_start
azure_key kek
vault=$(cut -d/ -f3 <<<"$key" | cut -d. -f1)
make_volume "$dir/disk" 16M
start_server "$dir/disk" "${fast[@]}"
nbd_io "write 0 1M 0x41" flush
denials=10

denial key_disabled 'ctl disable "$key"' 'ctl enable "$key"'
denial not_found 'ctl delete "$key"' 'ctl enable "$key"'
denial access_denied 'ctl revoke "$vault" demo' 'ctl grant "$vault" demo "*"'
denial firewall 'ctl firewall "$vault" on' 'ctl firewall "$vault" off'

load_start
for fault in outage throttle 'delay 20s' reset truncate garbage 'status 500' 'status 403' expired; do
  outage "ctl fault $fault --op UnwrapKey" 'ctl clear'
done
agent_stopped
load_stop
nbd_io "write 0 1M 0x41" flush
assert_json "$(server_status_json)" '.fences == 4'

stop_server

# A date that has passed: Key Vault goes on unwrapping. It fences only where that is asked for.
ctl key-dates "$key" --expires -1h >/dev/null
start_server "$dir/disk" "${fast[@]}"
await_status 15 '.key_expiry_known and .key_expires != null'
assert_json "$(server_status_json)" '.state == "active"'
nbd_io "read 0 1M 0x41"
stop_server
start_server "$dir/disk" "${fast[@]}" key-expiry=fence
await_status 20 '.state == "fenced" and .reason == "key_expired"'
assert_refused
ctl key-dates "$key" --expires none >/dev/null
stop_server
