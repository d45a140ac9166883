#!/bin/bash
# Extents report holes as holes and never as zeros: what a hole reads as is not defined.
. "$(dirname "$0")/lib.sh"
make_volume "$dir/disk" 16M
start_server "$dir/disk"
nbd_io "extents 0 16M" >"$dir/extents"
assert_eq "$(awk '{ n += $2 } END { print n }' "$dir/extents")" $((16 << 20)) "bytes reported"
! grep -q zero "$dir/extents" || fail "a hole is reported as zeros"
if ! grep -q hole "$dir/extents"; then
  stop_server
  skip "no holes in files in ${dir%/*}"
fi
nbd_io "write 1M 64k 0x41" "write 8M 1 0x42" "flush"
nbd_io "extents 0 16M" >"$dir/extents"
! grep -q zero "$dir/extents" || fail "a hole is reported as zeros"
# What was written is data, to the byte.
covered ()
{
  awk -v from="$1" -v to="$2" '$3 == "data" && $1 <= from && $1 + $2 >= to { found = 1 } END { exit !found }' \
    "$dir/extents"
}
covered $((1 << 20)) $(((1 << 20) + 65536)) || fail "written data is not reported as data"
covered $((8 << 20)) $(((8 << 20) + 1)) || fail "a written byte is not reported as data"
# Asked for a part that starts and ends anywhere.
nbd_io "extents 1048577 65530" >"$dir/extents"
assert_eq "$(head -n 1 "$dir/extents" | cut -d ' ' -f 1,3)" "1048577 data" "first extent"
stop_server
