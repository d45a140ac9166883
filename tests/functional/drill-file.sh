#!/bin/bash
# A drill of a volume whose key is a file: measured, judged against limits, the data compared; a plan does
# nothing; who can't begin a drill has changed nothing.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
. "$(dirname "$0")/lib-drill.sh"
require jq nc
make_volume "$dir/disk" 16M
start_server "$dir/disk" "${fast[@]}"
nbd_io "write 0 16M 0x41" flush
writes=$(server_status_json | jq .io.writes)

# ---- a plan ---------------------------------------------------------------------------------------------

keyfence drill --plan --preset file --uri "$uri" "$dir/disk" >"$dir/plan"
grep -qF "test ! -e '$kek.drill' && mv -n -- '$kek' '$kek.drill'" "$dir/plan" || fail "the plan does not say what revokes"
grep -q '^Nothing was done' "$dir/plan" || fail "the plan does not say that it is one"
keyfence drill --plan --revoke "touch $dir/revoked" --restore "touch $dir/restored" --uri "$uri" --json "$dir/disk" >"$dir/plan"
assert_json "$(cat "$dir/plan")" '.revoke | startswith ("touch ")'
# By its configuration's name, it is where that says.
export KEYFENCE_CONFDIR=$dir/conf
mkdir "$KEYFENCE_CONFDIR"
printf 'path = %s\nsocket = %s\n' "$dir/disk" "$dir/main.nbd" >"$KEYFENCE_CONFDIR/canary.conf"
printf 'path = %s\nport = 10809\n' "$dir/disk" >"$KEYFENCE_CONFDIR/by-tcp.conf"
keyfence drill --plan --preset file canary >"$dir/plan"
grep -qF "socket=$dir/main.nbd" "$dir/plan" || fail "not the configuration's socket: $(cat "$dir/plan")"
expect_fail 2 'by-tcp.conf serves it by TCP, at port 10809: give --uri URI' keyfence drill --plan --preset file by-tcp
sleep 1
if [ ! -e "$kek" ] || [ -e "$dir/revoked" ] || [ -e "$dir/restored" ]; then
  fail "a plan has done something"
fi
assert_json "$(server_status_json)" ".fences == 0 and .io.writes == $writes"

# ---- what can't begin -----------------------------------------------------------------------------------

expect_fail 2 'needs both --revoke COMMAND and --restore COMMAND' keyfence drill --revoke true "$dir/disk"
expect_fail 2 'excludes' keyfence drill --revoke true --preset file "$dir/disk"
expect_fail 2 'preset aws: .*arn:aws:kms' keyfence drill --preset aws --uri "$uri" "$dir/disk"
expect_fail 2 'the volume.s key is a file' keyfence drill --preset sim --uri "$uri" "$dir/disk"
expect_fail 2 'expected OFFSET:SIZE' keyfence drill --preset file --scratch 1M --uri "$uri" "$dir/disk"
expect_fail 2 'multiples of 4096' keyfence drill --preset file --scratch 512:4k --uri "$uri" "$dir/disk"
expect_fail 2 'beyond the end' keyfence drill --preset file --scratch 16M:4k --uri "$uri" "$dir/disk"
expect_fail 2 'its folder can.t be written' keyfence drill --preset file --report "$dir/none/x.html" --uri "$uri" "$dir/disk"
expect_fail 2 'give --uri URI' keyfence drill --preset file "$dir/disk"
expect_fail 1 'socket' keyfence drill --preset file --uri "nbd+unix:///?socket=$dir/nobody" "$dir/disk"
make_volume "$dir/other" 16M
start_named other "$dir/other"
expect_fail 2 'is another disk: the volume.s server has seen none' \
  keyfence drill --preset file --uri "nbd+unix:///?socket=$dir/other.nbd" "$dir/disk"
stop_server other
uri="nbd+unix:///?socket=$dir/main.nbd"
control=$KEYFENCE_RUNDIR/$(volume_uuid "$dir/disk").sock
assert_json "$(server_status_json)" '.fences == 0 and .state == "active"'

# ---- drills ---------------------------------------------------------------------------------------------

drill 0 --preset file
all_passed
assert_json "$report" '.data.blocks_same == .data.blocks_sampled and .data.blocks_sampled == 64 and .data.scratch_writes == 0'
assert_json "$report" '[.commands[] | .what + " " + (.exit_status | tostring)] == ["revoke 0", "restore 0"]'
served_again

# With limits that are kept, and writes into a scratch range.
drill 0 --preset file --max-fence $((20 * patience))s --max-recover $((20 * patience))s --scratch 8M:256k
all_passed
verdict max-fence passed
verdict max-recover passed
verdict scratch passed
assert_json "$report" '.data.scratch_blocks > 5 and .data.scratch_writes > 10'
served_again
nbd_io "read 0 8M 0x41" "read 8448k 7M 0x41"

# With limits that are not kept: told, and the key is back all the same.
drill 1 --preset file --max-fence 1ms
assert_json "$report" '.result == "failed" and ([.checks[] | select (.verdict == "failed").check] == ["max-fence"])'
served_again
drill 1 --preset file --max-recover 1ms
assert_json "$report" '.result == "failed" and ([.checks[] | select (.verdict == "failed").check] == ["max-recover"])'
served_again

# In words.
keyfence drill --preset file --uri "$uri" --hold 500ms "$dir/disk" >"$dir/words"
grep -qE '^result: +passed' "$dir/words" || fail "the result is not said"
served_again

# Data that are not the same: what has changed on the disk while nobody could write through the server.
offset=$((16777216 / 2))
drill 1 --revoke "mv $kek $dir/away" --restore "printf changed | dd of=$dir/disk bs=1 seek=$((1048576 + offset)) conv=notrunc status=none && mv $dir/away $kek"
assert_json "$report" '.data.blocks_changed == 1 and .data.blocks_same == 63'
verdict data failed
await_state active

# Fenced volumes are left alone.
server_command fence >/dev/null
expect_fail 3 'a drill begins with an active one' keyfence drill --preset file --uri "$uri" "$dir/disk"
server_command unfence >/dev/null
stop_server

# Requests that are held while fenced are no less refused.
start_server "$dir/disk" "${fast[@]}" on-fence=stall stall-limit=60s
drill 0 --preset file --max-fence $((20 * patience))s
assert_json "$report" '.result == "passed" and .figures.restore_to_first_served_ms > 0 and .figures.not_served_ms > 500'
stop_server
start_server "$dir/disk" "${fast[@]}" recover=manual
expect_fail 2 'recover=manual' keyfence drill --preset file --uri "$uri" "$dir/disk"
stop_server
