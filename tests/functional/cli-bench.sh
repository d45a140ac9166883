#!/bin/bash
# keyfence bench measures every back end that runs here, in both directions, and names the others.
. "$(dirname "$0")/lib.sh"
require jq
not_under_wrapper "the figures would say nothing"
json=$(keyfence bench --json)
assert_json "$json" 'any (.xts[]; .crypto == "openssl")'
assert_json "$json" '[.auto] - [.xts[].crypto] == []'
assert_json "$json" '.xts | group_by (.crypto) | all (length == 6 and (map ([.sector_size, .buffer_bytes]) | unique | length) == 6)'
# 10 MB/s is slower, and 1 TB/s faster, than any machine that this runs on.
assert_json "$json" 'all (.xts[] | .encrypt_bytes_per_s, .decrypt_bytes_per_s; . > 1e7 and . < 1e12)'
keyfence bench >"$dir/table"
assert_match "$(cat "$dir/table")" 'openssl +4096 +64 KiB +[0-9]+\.[0-9][0-9] +[0-9]+\.[0-9][0-9]' table
assert_match "$(tail -n 1 "$dir/table")" '^crypto=auto takes [a-z]+ here\.$' choice
# Those that this machine cannot run (or that were not built) are no error.
assert_eq "$(jq -r '.xts[].crypto' <<<"$json" | sort -u)" \
  "$(awk '$2 ~ /^[0-9]+$/ { print $1 }' "$dir/table" | sort -u)" "back ends"
