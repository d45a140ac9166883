#!/bin/bash
# A secondary key holds the disk through an outage of the primary's service, and only then: never after
# the primary's owner has said no, and never where the primary's name does not exist.
# shellcheck disable=SC2016  # commands are evaluated later
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
. "$(dirname "$0")/lib-fence.sh"
require jq nc
aws_start
azure_key kek
secondary=$key
aws_key
lease=$((20 * patience))

# held_by_secondary REASON: active by the secondary, the primary's failure in the detail.
held_by_secondary ()
{
  await_status 20 '.state == "active" and .held_by == "secondary" and .reason == "ok" and (.detail | test ("held by secondary 1$"))'
  assert_match "$(last_primary_reason)" "^($1)\$" "why the primary was passed over"
}

last_primary_reason ()
{
  server_command metrics | jq -r '[.key_operations[] | select (.role == "primary" and .operation != "expiry")][-1].reason'
}

held_by_primary ()
{
  await_status 20 '.state == "active" and .held_by == "primary" and .detail == ""'
}

# asked_secondary: how often since the log of the service was cleared.
asked_secondary ()
{
  ctl log --op UnwrapKey --count
}

# not_asked WHAT...: the secondary has not been.
not_asked ()
{
  assert_eq "$(asked_secondary)" 0 "requests to the secondary, $*"
}

make_volume "$dir/disk" 16M --secondary "$secondary"

# ---- an outage of each kind that permits it -----------------------------------------------------------
start_server "$dir/disk" "${fast[@]}" grace=${lease}s
nbd_io "write 0 1M 0x41" flush
ctl log --clear >/dev/null
assert_json "$(server_status_json)" '.held_by == "primary" and .secondaries == 1'
load_start
while read -r fault reasons; do
  # shellcheck disable=SC2086  # the fault and its value are two words
  ctl fault ${fault//:/ } --op Decrypt >/dev/null
  held_by_secondary "$reasons"
  printf '%-12s held by the secondary (primary: %s)\n' "$fault" "$(last_primary_reason)"
  ctl clear >/dev/null
  held_by_primary
done <<<'outage service_error
throttle throttled
status:503 service_error
reset broken
truncate broken
delay:20s timeout'
load_stop

# Beyond the lease that the primary gave: the secondary's answers renew it.
ctl fault outage --op aws >/dev/null
held_by_secondary service_error
load_start
sleep $((lease + 2))
load_stop
nbd_io "write 0 1M 0x41" flush
assert_json "$(server_status_json)" ".state == \"active\" and .held_by == \"secondary\" and .lease_left_s > $((lease / 2)) and .fences == 0"

# The secondary says no too: that decides nothing, but nobody holds the lease any more.
ctl disable "$secondary" >/dev/null
await_status 20 '.state == "grace" and .reason == "service_error" and (.detail | test ("secondary 1: key_disabled"))'
nbd_io "read 0 1M 0x41"
ctl enable "$secondary" >/dev/null
held_by_secondary service_error
ctl disable "$secondary" >/dev/null
await_state grace
await_state fenced $((lease + 10))
assert_refused
# Fenced by an outage: the secondary may open it.
ctl enable "$secondary" >/dev/null
await_state active
held_by_secondary service_error
nbd_io "read 0 1M 0x41"
ctl clear >/dev/null
held_by_primary

# ---- outages that prove nothing about the service --------------------------------------------------------
for fault in garbage expired 'skew 2h' 'status 403'; do
  ctl log --clear >/dev/null
  outage "ctl fault $fault --op Decrypt" 'ctl clear'
  not_asked "in $fault of the primary"
done

# ---- denied ----------------------------------------------------------------------------------------------
# The secondary would say yes and is not asked; nor in an outage that follows.
ctl log --clear >/dev/null
denials=20
denial key_disabled 'ctl disable "$key"' 'ctl enable "$key"'
not_asked "while the primary was denied"

ctl disable "$key" >/dev/null
await_state fenced
ctl fault outage --op aws >/dev/null
await_status 15 '.reason == "service_error"'
sleep 3
assert_json "$(server_status_json)" '.state == "fenced" and .reason == "service_error" and .held_by == null' "it failed over after a denial"
not_asked "in an outage after a denial, while fenced"
stop_server

# A no, and then no answer to its confirmation: fenced as by two.
ctl clear >/dev/null
ctl enable "$key" >/dev/null
start_server "$dir/disk" check-interval=1s confirm-delay=$((3 * patience))s check-timeout=$((1 * patience))s
ctl log --clear >/dev/null
ctl disable "$key" >/dev/null
await_status 15 '.checks.denied > 0'
ctl fault outage --op aws >/dev/null
assert_json "$(server_status_json)" '.state != "fenced"' "the outage came too late"
await_state fenced
assert_json "$(server_status_json)" '.reason == "key_disabled" and (.detail | test ("the confirmation: "))'
assert_refused
sleep 3
assert_json "$(server_status_json)" '.state == "fenced"' "it failed over after a denial"
not_asked "in an outage after a denial, while running"
# The owner's yes ends that: from then on an outage is an outage again.
ctl enable "$key" >/dev/null
ctl clear >/dev/null
held_by_primary
ctl fault outage --op aws >/dev/null
held_by_secondary service_error
stop_server

# ---- the start ---------------------------------------------------------------------------------------------
start_server "$dir/disk" "${fast[@]}" require-key=yes
held_by_secondary service_error
nbd_io "read 0 1M 0x41" "write 1M 64k 0x42"
ctl clear >/dev/null
held_by_primary
nbd_io "read 0 1M 0x41" "read 1M 64k 0x42"
stop_server

# ---- a name that does not exist -----------------------------------------------------------------------------
# A deleted vault's name is gone as well: its owner may have said no.  One label longer than DNS allows
# can't exist, whatever this machine's resolver is like.
label=$(printf 'a%.0s' {1..64})
ctl log --clear >/dev/null
AWS_ENDPOINT_URL=https://$label.invalid expect_no_start "$label" "$dir/disk" require-key=yes
not_asked "while the primary's name does not exist"

# ---- two files ----------------------------------------------------------------------------------------------
# The disk that the first lies on fails, to the agent's reads.
make_kek "$dir/second"
second=$key
make_kek "$dir/kek"
make_volume "$dir/files" 16M --secondary "$second"
faults_below "$kek"
start_server "$dir/files" "${fast[@]}"
nbd_io "write 0 1M 0x41" flush
arm any EIO 0 1000000
held_by_secondary read_error
nbd_io "read 0 1M 0x41"
mv "$dir/second" "$dir/second.away"
await_status 15 '.state == "grace" and (.detail | test ("secondary 1: not_found"))'
mv "$dir/second.away" "$dir/second"
held_by_secondary read_error
disarm
held_by_primary
mv "$kek" "$dir/away"
await_state fenced
assert_json "$(server_status_json)" '.reason == "not_found"' "the secondary's yes counted after the primary's no"
mv "$dir/away" "$kek"
held_by_primary
stop_server
