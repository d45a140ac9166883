#!/bin/bash
# No plaintext and no key material in the backing file, in logs, in core files, in `ps`.
. "$(dirname "$0")/lib.sh"
require openssl jq xxd nbdcopy
plaintext=SECRETPLAINTEXTSECRETPLAINTEXT
make_volume "$dir/disk" 4M
export_volume_key "$dir/disk" "$dir/volume-key"
for i in {1..30000}; do echo "$plaintext $i"; done >"$dir/in"
truncate -s 4M "$dir/in"

# holds_key FILE: halves of the volume key or of the KEK, raw, in hex or in base64.
for f in "$dir/volume-key" "$kek"; do
  xxd -p -c 64 "$f" | cut -c 1-32
  xxd -p -c 64 "$f" | cut -c 65-96
  base64 -w 0 "$f" | cut -c 1-40
done | grep . >"$dir/patterns"
holds_key ()
{
  grep -qaiF -f "$dir/patterns" "$1" || "$helpers/find-bytes" "$1" "$dir/volume-key" 32 ||
    "$helpers/find-bytes" "$1" "$kek" 32
}

# The search finds what is there.
{ head -c 5000 "$dir/in"; tail -c 32 "$dir/volume-key"; head -c 5000 "$dir/in"; } >"$dir/planted"
holds_key "$dir/planted" >/dev/null || fail "the search does not find a raw half"
xxd -p -c 64 "$dir/volume-key" >"$dir/planted"
holds_key "$dir/planted" || fail "the search does not find hex"

cd "$dir" # where a core file would be
ulimit -c unlimited
nbdkit_options=(-v)
start_server "$dir/disk"
nbdcopy --flush "$dir/in" "$uri"
nbd_io "read 3M 4k 0" "write 0 10 0x41"
server_status_json >"$dir/status.log"
ps -ef ww >"$dir/ps"
for process in "$server_pid" $(pgrep -P "$server_pid"); do
  cat "/proc/$process/environ" "/proc/$process/cmdline" >>"$dir/ps" 2>/dev/null || true
done
for f in "$dir"/*.log "$dir/ps" "$dir/disk"; do
  ! holds_key "$f" || fail "$f holds key material"
  assert_absent "$f" "$plaintext"
done

# A crash leaves no core file.
kill -SEGV "$server_pid"
wait "$server_pid" 2>/dev/null || true
unset 'server_pids[main]'
assert_eq "$(find "$dir" -name 'core*' | wc -l)" 0 "core files after a crash"
