#!/bin/bash
# A client that never reads its replies keeps nbdkit from ending; it does not keep the keys.
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

# Told to end before it has read them, nbdkit would just close the connection.
has_read_all ()
{
  [ "$(server_status_json | jq .io.reads)" -ge 8 ]
}
wait_for 20 has_read_all || fail "the requests were not served: $(server_status_json)"

kill -TERM "$server_pid"
is_stopping ()
{
  [ "$(server_status_json | jq -r '.state + "/" + .reason')" = fenced/stopping ]
}
wait_for 30 is_stopping || fail "the keys outlive the order to stop"
alive "$server_pid" || fail "nbdkit has ended: the client did not hold it, so this proves nothing"

# Once the client goes, so does the server.
kill "$client"
wait_for 60 dead "$server_pid" || fail "the server did not end after its client"
