#!/bin/bash
# The control socket answers each line with one JSON object, whatever its clients do to it.
. "$(dirname "$0")/lib.sh"
require jq nc perl

make_volume "$dir/disk" 16M --label tester
start_server "$dir/disk"

# It is nobody else's, and it tells what design and manual promise.
assert_eq "$(stat -c %a "$control")" 600 "mode of the socket"
status=$(server_status_json)
for field in volume label path size_bytes state reason detail since key last_check next_check \
    lease_until fence_bound_s checks io engine engine_note crypto cache memory_locked read_only pid agent_pid; do
  assert_json "$status" "has(\"$field\")" "status has $field"
done
assert_json "$status" ".state == \"active\" and .label == \"tester\" and .size_bytes == 16777216"
assert_json "$status" ".path == \"$dir/disk\" and .key == \"$key\" and .pid == $server_pid"
assert_json "$status" '.checks == {"ok":1,"denied":0,"outage":0,"other":0}'

# Counters count.
nbd_io "write 0 8192 7"
nbd_io "read 0 4096 7"
assert_json "$(server_status_json)" '.io.bytes_written == 8192 and .io.writes == 1'
assert_json "$(server_status_json)" '.io.bytes_read >= 4096 and .io.refused == 0'

# Several commands on one connection; an unknown one is an error and no end.
answers=$(printf 'status\nnonsense\nstatus\n' | nc -U -N "$control")
assert_eq "$(wc -l <<<"$answers")" 3 "number of answers"
assert_json "$(sed -n 2p <<<"$answers")" 'has("error")'

# Hostile clients: endless lines, silence, hanging up half-way, more of them than there is room for, one
# that never reads.  The next honest client is served.
head -c 100000 /dev/zero | nc -U -N "$control" >/dev/null || true
printf 'stat' | nc -U -N "$control" >/dev/null
perl -e '
  use IO::Socket::UNIX;
  my @silent = map { IO::Socket::UNIX->new(Peer => $ARGV[0]) } 1 .. 40;
  close $_ for grep { $_ } @silent;
  my $deaf = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "connect: $!";
  $SIG{PIPE} = "IGNORE";
  $deaf->blocking(0);
  for (1 .. 5000) { last unless defined syswrite($deaf, "status\n") || $!{EAGAIN}; }
' "$control"
assert_json "$(server_status_json)" '.state == "active"'

# Connections that nobody uses keep no operator out.
perl -e '
  use IO::Socket::UNIX;
  my @silent = map { IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "connect: $!" } 1 .. 16;
  $| = 1;
  print "connected\n";
  sleep 1000;
' "$control" >"$dir/silent" &
silent=$!
at_exit "kill $silent 2>/dev/null || true"
wait_for 10 grep -q connected "$dir/silent" || fail "the silent clients did not connect"
assert_json "$(server_status_json)" '.state == "active"'
kill "$silent"

# A stale socket of a server that was killed is replaced; the socket goes with its server.
kill_server
[ -S "$control" ] || fail "the killed server's socket should still be there"
start_server "$dir/disk"
assert_json "$(server_status_json)" '.state == "active"'
stop_server
[ ! -e "$control" ] || fail "the socket outlives its server"

# What is not a socket is left alone.
echo precious >"$dir/file"
expect_no_start "control socket .*/file: something else" "$dir/disk" "control=$dir/file"
assert_eq "$(cat "$dir/file")" precious

# control=none makes none.
start_server "$dir/disk" control=none
[ ! -e "$control" ] || fail "control=none made a socket"
stop_server
