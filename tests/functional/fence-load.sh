#!/bin/bash
# A thousand times fenced and opened again under full mixed load, by revocation and by hand: no
# acknowledged write is lost, no byte is wrong, nothing leaks, no thread is stuck.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
require jq nc
cycles=${KEYFENCE_FENCE_CYCLES:-1000}
revocations=${KEYFENCE_REVOCATIONS:-$((cycles / 20))} # of those; each takes some checks
[ "$patience" -eq 1 ] || { cycles=60; revocations=3; }
make_volume "$dir/disk" 16M
start_server "$dir/disk" check-interval=100ms confirm-delay=0 check-timeout=2s

memory_kb ()
{
  awk '/^(Rss|Swap):/ {sum += $2} END {print sum}' "/proc/$1/smaps_rollup"
}

# entries PID task|fd: how many threads or descriptors it has.
entries ()
{
  find "/proc/$1/$2" -mindepth 1 -maxdepth 1 | wc -l
}

start_writer ()
{
  : >"$dir/journal.log"
  # For as long as the cycles take.
  timeout $((1200 * patience)) "$helpers/nbd-journal" through "$uri" "$dir/journal" "$1" 4096 4 \
    >"$dir/journal.log" 2>&1 &
  writer=$!
  wait_for 30 grep -q ready "$dir/journal.log" || fail "no load: $(cat "$dir/journal.log")"
}

stop_writer ()
{
  pkill -TERM -P "$writer" # timeout passes it on to nobody else
  wait "$writer" || fail "the writer: $(cat "$dir/journal.log")"
  tail -n 2 "$dir/journal.log"
}

# by_hand COUNT: as fast as the server answers, over one connection.
by_hand ()
{
  local i

  for ((i = 0; i < $1; i++)); do
    printf 'fence\nunfence\n'
  done | timeout $((600 * patience)) nc -U -N "$control" |
    jq -se 'length == '$((2 * $1))' and all (.[]; .state == (if .result.command == "fence" then "fenced" else "active" end))' \
      >/dev/null || fail "not every command did what it says"
}

by_revocation ()
{
  local i

  for ((i = 0; i < $1; i++)); do
    mv "$kek" "$dir/away"
    await_state fenced
    mv "$dir/away" "$kek"
    await_state active
  done
}

start_writer 1
by_hand 50 # warm
by_revocation 5
kb=$(memory_kb "$server_pid")
threads=$(entries "$server_pid" task)
descriptors=$(entries "$server_pid" fd)
by_hand $((cycles - revocations))
by_revocation "$revocations"
kb_after=$(memory_kb "$server_pid")
printf '%d cycles: memory %d -> %d kB, threads %d -> %d, descriptors %d -> %d\n' "$cycles" "$kb" \
  "$kb_after" "$threads" "$(entries "$server_pid" task)" "$descriptors" "$(entries "$server_pid" fd)"
assert_json "$(server_status_json)" ".state == \"active\" and .fences >= $cycles and .io.refused > 0"
stop_writer
nbd_journal verify "$uri" "$dir/journal"
[ "$(entries "$server_pid" fd)" -le "$descriptors" ] || fail "descriptors leak"
[ "$(entries "$server_pid" task)" -le "$threads" ] || fail "threads leak"
[ "$patience" -gt 1 ] || [ "$kb_after" -le $((kb + 2048)) ] || fail "memory grows: $kb kB, then $kb_after kB"
stop_server

# And nothing of it was only in a cache of ours.
start_server "$dir/disk" read-only=yes
nbd_journal verify "$uri" "$dir/journal"
stop_server
