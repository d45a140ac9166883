#!/bin/bash
# qemu's clients through a fence: an error while it is closed and the same connection good again after
# it; with on-fence=stall a copy that takes longer, and nothing else.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
require jq nc qemu-io qemu-img
make_volume "$dir/disk" 64M

# qemu: one qemu-io for the whole story, so that the connection is the same.  It answers in order, and
# each answer is waited for.
qemu_start ()
{
  : >"$dir/qemu.log"
  coproc QEMU { exec qemu-io -f raw -t writeback "$uri" >>"$dir/qemu.log" 2>&1; }
}

# qemu COMMAND 'regex': the command's answer has it.
qemu ()
{
  local lines

  lines=$(wc -l <"$dir/qemu.log")
  echo "$1" >&"${QEMU[1]}"
  answered () { tail -n +$((lines + 1)) "$dir/qemu.log" | grep -qE "$2|failed|rror"; }
  wait_for 30 answered "$1" "$2" || fail "no answer to $1: $(tail -n 3 "$dir/qemu.log")"
  tail -n +$((lines + 1)) "$dir/qemu.log" | grep -qE "$2" || fail "$1: $(tail -n 3 "$dir/qemu.log")"
}

# Its exit status is 1, for the commands that failed.
qemu_stop ()
{
  local pid=$QEMU_PID status=0

  echo quit >&"${QEMU[1]}"
  wait "$pid" || status=$?
  assert_eq "$status" 1 "exit status of qemu-io"
}

start_server "$dir/disk" "${fast[@]}"
qemu_start
qemu 'write -P 0x11 0 1M' 'wrote 1048576/1048576'
for round in 1 2 3; do
  mv "$kek" "$dir/away"
  await_state fenced
  qemu 'read -P 0x11 0 64k' 'read failed: Input/output error'
  qemu 'write -P 0x22 0 64k' 'write failed: Input/output error'
  mv "$dir/away" "$kek"
  await_state active
  qemu 'read -P 0x11 0 1M' 'read 1048576/1048576'
  qemu "write -P 0x3$round 2M 1M" 'wrote 1048576/1048576'
  qemu "read -P 0x3$round 2M 1M" 'read 1048576/1048576'
done
qemu_stop
! grep -q 'Pattern verification failed' "$dir/qemu.log" || fail "other data than before the fence"
stop_server

# A copy that is fenced fails, and says so.
random_file "$dir/plain" 64M
start_server "$dir/disk" "${fast[@]}"
mv "$kek" "$dir/away"
await_state fenced
expect_fail 1 'Input/output error' qemu-img convert -n -f raw -O raw "$dir/plain" "$uri"
mv "$dir/away" "$kek"
await_state active
stop_server

# A copy that stalls, three times, and is whole.
start_server "$dir/disk" "${fast[@]}" on-fence=stall stall-limit=$((120 * patience))s
qemu-img convert -n -r 8M -f raw -O raw "$dir/plain" "$uri" >"$dir/convert.log" 2>&1 &
copy=$!
for round in 1 2 3; do
  sleep 1
  server_command fence >"$dir/output"
  sleep 1
  alive "$copy" || fail "the copy was over, or failed, in round $round: $(cat "$dir/convert.log")"
  assert_json "$(server_command unfence)" '.state == "active"'
done
wait "$copy" || fail "the copy failed: $(cat "$dir/convert.log")"
assert_json "$(server_status_json)" '.fences == 3 and .io.refused == 0'
qemu-img compare -f raw -F raw "$dir/plain" "$uri" >"$dir/compare.log" || fail "$(cat "$dir/compare.log")"
stop_server
