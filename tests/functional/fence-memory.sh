#!/bin/bash
# The key is provably gone: all memory of server and agent is searched for the volume key, its halves,
# its AES round keys, base64 and hex.  While active only the ciphers' contexts have it, which shows that
# the search works; while fenced, after failed starts and after 100 cycles nothing has.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
require jq nc openssl xxd
require_root
not_under_wrapper "a sanitizer keeps copies of what was freed"
make_volume "$dir/disk" 16M
export_volume_key "$dir/disk" "$dir/volume-key"
# memfd_secret would hide the very memory that is to be searched.
export KEYFENCE_DEBUG_DUMPABLE=1

# scan: what is found, as "KIND MAPPING" lines, of all processes of the server.
scan ()
{
  local status=0 pids

  mapfile -t pids < <(printf '%s\n' "$server_pid"; pgrep -P "$server_pid")
  "$helpers/key-scan" "$dir/volume-key" "${pids[@]}" >"$dir/scan.log" || status=$?
  [ "$status" -lt 2 ] || fail "the search does not work"
  awk '{print $2, $3}' "$dir/scan.log" | sort -u
}

assert_nothing ()
{
  local found

  found=$(scan)
  [ -z "$found" ] || fail "$1, and there is still: $found"
}

for crypto in openssl gcrypt vaes; do
  nbdkit_options=(-t 4)
  start_named main "$dir/disk" "${fast[@]}" crypto=$crypto || { server_pids=(); continue; }
  nbd_io "write 0 1M 0x41" "read 0 1M 0x41"
  found=$(scan)
  printf '%s, active: %s\n' "$crypto" "$(tr '\n' ' ' <<<"$found")"
  grep -q round-key <<<"$found" || fail "the search finds no round keys in an active server"
  grep -q half <<<"$found" || fail "the search finds no key in an active server's schedules"
  ! grep -qE 'base64|hex' <<<"$found" || fail "the key lies there as text: $found"

  if command -v gcore >/dev/null; then
    gcore -o "$dir/core" "$server_pid" >"$dir/gcore.log" 2>&1
    # libgcrypt's pool is kept out of cores; what OpenSSL has shows that the search works.
    [ "$crypto" != openssl ] ||
      ! "$helpers/key-scan" "$dir/volume-key" "$dir/core.$server_pid" >"$dir/scan.log" ||
      fail "the search finds nothing in an active server's core"
  fi
  server_command fence >"$dir/output"
  assert_nothing "$crypto, fenced by hand"
  if command -v gcore >/dev/null; then
    gcore -o "$dir/core" "$server_pid" >"$dir/gcore.log" 2>&1
    "$helpers/key-scan" "$dir/volume-key" "$dir/core.$server_pid" >"$dir/scan.log" ||
      fail "a core of the fenced server holds: $(cat "$dir/scan.log")"
    rm "$dir/core.$server_pid"
  fi
  server_command unfence >"$dir/output"
  nbd_io "read 0 1M 0x41"

  # Fenced with requests in flight, many times.
  for _ in {1..100}; do
    nbd_io "write 0 1M 0x41" >"$dir/io.log" 2>&1 &
    client=$!
    server_command fence >"$dir/output"
    wait "$client" || true
    assert_json "$(server_command unfence)" '.state == "active"'
  done
  server_command fence >"$dir/output"
  assert_nothing "$crypto, after 100 cycles"
  server_command unfence >"$dir/output"

  # Denied, and tried for again and again.
  mv "$kek" "$dir/away"
  await_state fenced
  sleep 2
  assert_nothing "$crypto, denied"
  mv "$dir/away" "$kek"
  await_state active
  stop_server
done

# Unwrapped, but the header does not fit: nothing stays of the key that was there for a moment.
start_server "$dir/disk" "${fast[@]}"
server_command fence >"$dir/output"
cp "$dir/disk" "$dir/copy"
make_volume "$dir/other" 16M
dd if="$dir/other" of="$dir/disk" bs=1M count=1 conv=notrunc status=none
assert_json "$(server_command unfence)" '.state == "fenced"'
assert_nothing "the header did not fit"
dd if="$dir/copy" of="$dir/disk" bs=1M count=1 conv=notrunc status=none
assert_json "$(server_command unfence)" '.state == "active"'

# The agent dies in the middle of unwrapping.
server_command fence >"$dir/output"
for _ in {1..20}; do
  server_command unfence >"$dir/output" &
  client=$!
  kill -KILL "$(server_status_json | jq .agent_pid)" 2>/dev/null || true
  wait "$client" || true
  server_command fence >"$dir/output"
done
assert_nothing "the agent was killed while it unwrapped"
stop_server
