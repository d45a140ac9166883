#!/bin/bash
# keyfence bench --store only reads a file, writes in a folder to what is gone afterwards, and says when it measures holes.
. "$(dirname "$0")/lib.sh"
require jq
not_under_wrapper "the figures would say nothing"
mkdir "$dir/folder"
head -c 8M /dev/urandom >"$dir/folder/data"
before=$(sha256sum "$dir/folder/data")

# A file: all combinations of reads, none of writes.  Some file systems know no O_DIRECT, and say so.
json=$(keyfence bench --store "$dir/folder/data" --json)
assert_json "$json" '.size_bytes == 8 * 1048576 and (.scratch | not)'
assert_json "$json" 'all (.store[]; .request == "read")'
assert_json "$json" '(.store | map (.cache) | unique) + (.absent | keys) | sort == ["none", "writeback"]'
assert_json "$json" '.store | group_by (.cache) | all (map ([.request_bytes, .depth]) | sort == [[4096, 1], [4096, 16], [1048576, 1], [1048576, 16]])'
# 10 kB/s is slower, and 1 TB/s faster, than any store; bytes, requests and latency say the same.
assert_json "$json" 'all (.store[]; .bytes_per_s > 1e4 and .bytes_per_s < 1e12)'
assert_json "$json" 'all (.store[]; .bytes_per_s / .requests_per_s / .request_bytes | . > 0.9 and . < 1.1)'
assert_json "$json" 'all (.store[]; .latency_us * .requests_per_s / .depth / 1e6 | . > 0.5 and . < 1.5)'
assert_eq "$(sha256sum "$dir/folder/data")" "$before" "the file after it was measured"

# A folder: writes, too, and nothing is left.
keyfence bench --store "$dir/folder" >"$dir/table"
assert_match "$(cat "$dir/table")" 'writeback +write +1 MiB +16 +[0-9]+\.[0-9] +[0-9]+ +[0-9]+\.[0-9]' table
assert_match "$(cat "$dir/table")" 'writeback +read +4 KiB +1 +[0-9]' table
assert_eq "$(ls "$dir/folder")" data "the folder afterwards"
assert_eq "$(sha256sum "$dir/folder/data")" "$before" "the file beside"

# Nothing is left when it is killed in the middle either.
"$KEYFENCE" bench --store "$dir/folder" >/dev/null &
pid=$!
has_scratch () { local f; for f in "/proc/$pid"/fd/*; do [[ $(readlink "$f") != "$dir/folder/"* || ! -s $f ]] || return 0; done; return 1; }
wait_for 10 has_scratch || fail "no scratch file was seen"
kill -KILL "$pid"
wait "$pid" || true
assert_eq "$(ls "$dir/folder")" data "the folder after a kill"

# Holes are read from no disk.
truncate -s 8M "$dir/holes"
keyfence bench --store "$dir/holes" >/dev/null 2>"$dir/warned"
assert_match "$(cat "$dir/warned")" 'warning: most of .*holes are holes.* name the folder' "what is said of holes"

# What others need is left to them.
mkdir "$dir/full"
if [ "$(id -u)" -eq 0 ] && mount -t tmpfs -o size=40M none "$dir/full" 2>/dev/null; then
  at_exit "umount '$dir/full'"
  expect_fail 1 "less than 64 MiB are free" keyfence bench --store "$dir/full"
fi

expect_fail 1 "smaller than 1 MiB" keyfence bench --store "$0"
expect_fail 1 "No such file" keyfence bench --store "$dir/nowhere"
expect_fail 1 "no folder, regular file or block device" keyfence bench --store /dev/null
