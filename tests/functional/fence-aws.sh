#!/bin/bash
# Every way in which an owner says no in AWS KMS fences a running server, within its bound; no outage
# does; at the start, running and while fenced.
# shellcheck disable=SC2016,SC2034  # commands that lib-fence.sh evaluates, and what they name
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
. "$(dirname "$0")/lib-fence.sh"
require jq nc
aws_start
aws_key
make_volume "$dir/disk" 16M
start_server "$dir/disk" "${fast[@]}"
nbd_io "write 0 1M 0x41" flush
denials=10
nobody='{"Version":"2012-10-17","Statement":[]}'
no_decrypt='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"},{"Effect":"Deny","Action":"kms:Decrypt","Resource":"*"}]}'

denial key_disabled 'ctl disable "$key"' 'ctl enable "$key"'
denial pending_deletion 'ctl delete "$key"' 'ctl enable "$key"'
denial access_denied 'ctl policy user/demo "$no_decrypt"' 'ctl policy user/demo everything'
denial access_denied 'ctl key-policy "$key" "$nobody"' 'ctl key-policy "$key" default'
denial pending_import 'ctl key-state "$key" PendingImport' 'ctl key-state "$key" Enabled'

load_start
for fault in outage throttle 'delay 20s' reset truncate garbage 'status 500' 'status 503' expired 'skew 2h'; do
  outage "ctl fault $fault --op Decrypt" 'ctl clear'
done
agent_stopped
kill -KILL "$(server_status_json | jq .agent_pid)"
await_status 15 '.agent_pid != null'
await_state active
load_stop
nbd_io "write 0 1M 0x41" flush
assert_json "$(server_status_json)" '.fences == 5 and .io.refused > 0'

# A denial in the middle of an outage, and an outage while fenced.
ctl fault outage --op Decrypt >/dev/null
await_state grace
ctl disable "$key" >/dev/null
ctl clear >/dev/null
await_state fenced
ctl fault outage --op Decrypt >/dev/null
await_status 15 '.reason == "service_error"'
ctl enable "$key" >/dev/null
ctl clear >/dev/null
await_state active
nbd_io "read 0 1M 0x41"

# What decrypts to something else is never served again without an operator.
ctl fault wrong-plaintext --op Decrypt >/dev/null
await_status 15 '.state == "fenced" and .latch == "corrupt"'
ctl clear >/dev/null
sleep 3
assert_json "$(server_status_json)" '.state == "fenced"'
assert_json "$(server_command unfence)" '.state == "active"'
stop_server

# The lease ends: fenced without any denial; the service is back: so is the disk.
start_server "$dir/disk" "${fast[@]}" grace=$((8 * patience))s
nbd_io "read 0 1M 0x41"
ctl fault outage --op Decrypt >/dev/null
await_state grace
nbd_io "read 0 1M 0x41"
await_state fenced 30
assert_refused
assert_json "$(server_status_json)" '.reason == "service_error"'
ctl clear >/dev/null
await_state active
nbd_io "read 0 1M 0x41"
stop_server

# Started without access: denied, and in an outage.
ctl disable "$key" >/dev/null
start_server "$dir/disk" "${fast[@]}"
assert_json "$(server_status_json)" '.state == "fenced" and .reason == "key_disabled"'
assert_refused
ctl enable "$key" >/dev/null
await_state active
nbd_io "read 0 1M 0x41"
stop_server
ctl fault outage --op Decrypt >/dev/null
start_server "$dir/disk" "${fast[@]}"
assert_json "$(server_status_json)" '.state == "fenced" and .reason == "service_error"'
ctl clear >/dev/null
await_state active
nbd_io "read 0 1M 0x41"
stop_server
