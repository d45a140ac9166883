#!/bin/bash
# A client that never reads its replies keeps neither the keys nor the server.
. "$(dirname "$0")/lib.sh"
require jq nc perl

make_volume "$dir/disk" 64M
start_server "$dir/disk"
# Negotiates by hand (fixed newstyle, NBD_OPT_EXPORT_NAME), asks for 8 times 4 MiB, and reads nothing.
perl -e '
  use IO::Socket::UNIX;
  my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "connect: $!";
  read $s, my $hello, 18;
  syswrite $s, pack("N", 3) . "IHAVEOPT" . pack("NN", 1, 0);
  read $s, my $size, 10;
  syswrite $s, pack("NnnQ>Q>N", 0x25609513, 0, 0, $_, 0, 4 << 20) for 1 .. 8;
  $| = 1;
  print "asked\n";
  sleep 1000;
' "$dir/main.nbd" >"$dir/client" &
client=$!
at_exit "kill $client 2>/dev/null || true"
wait_for 10 grep -q asked "$dir/client" || fail "the client did not get as far as asking"

has_read_all ()
{
  [ "$(server_status_json | jq .io.reads)" -ge 8 ]
}
wait_for 20 has_read_all || fail "the requests were not served: $(server_status_json)"

from_s=$SECONDS
stop_server
[ $((SECONDS - from_s)) -le $((10 * patience)) ] || fail "the client has held the server for $((SECONDS - from_s)) s"
kill "$client"
