#!/bin/bash
# A server that was told to end hangs up on clients that have nothing to ask, at once, over a Unix socket and
# over TCP; what was asked before is answered; nobody is refused.
. "$(dirname "$0")/lib.sh"
require jq nc perl python3
make_volume "$dir/disk" 16M

# idle_client ADDRESS FILE: negotiates by hand, reads a block, and then waits for whatever comes, saying what.
idle_client ()
{
  rm -f "$2"
  perl -e '
    use IO::Socket::UNIX; use IO::Socket::INET;
    $| = 1;
    my $s = $ARGV[0] =~ m{^/} ? IO::Socket::UNIX->new(Peer => $ARGV[0]) : IO::Socket::INET->new(PeerAddr => $ARGV[0]);
    $s or die "connect: $!";
    sub take { my $all = ""; while (length $all < $_[0]) { sysread $s, $all, $_[0] - length $all, length $all or die "end" } $all }
    take(18);
    syswrite $s, pack("N", 3) . "IHAVEOPT" . pack("NN", 1, 0);
    take(10);
    syswrite $s, pack("NnnQ>Q>N", 0x25609513, 0, 0, 7, 0, 4096);
    my (undef, $error, $cookie) = unpack "NNQ>", take(16);
    take(4096);
    print "read: error $error\n";
    my $n = sysread $s, my $more, 4096;
    print defined $n ? ($n ? "more: " . unpack("H*", $more) . "\n" : "ended\n") : "failed: $!\n";
  ' "$1" >"$2" 2>&1 &
  client=$!
  at_exit "kill $client 2>/dev/null || true"
  wait_for 20 grep -q read "$2" || fail "the client has read nothing: $(cat "$2")"
}

# ends_at_once NAME: told to end, the server does, long before it would take the keys away from who holds it.
ends_at_once ()
{
  local start

  start=$(date +%s%3N)
  stop_server "$1"
  echo "ended after $(($(date +%s%3N) - start)) ms"
  ! grep -q 'stopping' "$log" || fail "it waited for its clients: $(tail -n 1 "$log")"
  wait "$client" || fail "the client: $(cat "$dir/client")"
  assert_eq "$(xargs <"$dir/client")" 'read: error 0 ended' 'what the client saw'
}

start_server "$dir/disk"
idle_client "$dir/main.nbd" "$dir/client"
ends_at_once main

# Clients that ask all the time end and come again, and an idle one of theirs holds nobody.
start_server "$dir/disk"
timeout $((100 * patience)) "$helpers/nbd-journal" day "$uri" "$dir/journal" 1 4096 4 1000 >"$dir/load.log" 2>&1 &
load=$!
wait_for 30 grep -q ready "$dir/load.log" || fail "no load: $(cat "$dir/load.log")"
idle_client "$dir/main.nbd" "$dir/client"
ends_at_once main
start_server "$dir/disk"
sleep 0.5
pkill -TERM -P "$load"
wait "$load" || fail "the load: $(tail -n 3 "$dir/load.log")"
grep -q ' 0 refused' "$dir/load.log" || fail "a restart has refused requests: $(tail -n 1 "$dir/load.log")"
nbd_journal verify "$uri" "$dir/journal"
stop_server

# Over TCP.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
env ${KEYFENCE_PRELOAD:+"LD_PRELOAD=$KEYFENCE_PRELOAD"} "$NBDKIT" -f -P "$dir/tcp.pid" -i 127.0.0.1 -p "$port" "$plugin" "$dir/disk" \
  >"$dir/tcp.log" 2>&1 </dev/null &
server_pids[tcp]=$!
log=$dir/tcp.log
wait_for 30 test -s "$dir/tcp.pid" || fail "no server: $(cat "$log")"
idle_client "127.0.0.1:$port" "$dir/client"

ends_at_once tcp

# One that has connected and says nothing is no client yet, and is waited for no longer than a moment; one that
# only begins to ask then is hung up on, and not refused.
start_server "$dir/disk"
perl -e '
  use IO::Socket::UNIX;
  $| = 1;
  my @s = map { IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "connect: $!" } 1, 2;
  for (@s) { my $greeting = ""; sysread $_, $greeting, 18 - length $greeting, length $greeting while length $greeting < 18 }
  print "connected\n";
  select undef, undef, undef, 0.05 until -e $ARGV[1];
  select undef, undef, undef, 0.3;
  syswrite $s[1], pack("N", 3) . "IHAVEOPT" . pack("NN", 1, 0) . pack("NnnQ>Q>N", 0x25609513, 0, 0, 7, 0, 4096);
  my $all = "";
  1 while sysread $s[1], $all, 65536, length $all;
  my $error = length $all > 18 ? unpack "N", substr $all, 14, 4 : 0;
  print $error ? "refused: $error\n" : "ended\n";
  select undef, undef, undef, 0.05 until -e $ARGV[2];
' "$dir/main.nbd" "$dir/told" "$dir/over" >"$dir/client" 2>&1 &
client=$!
at_exit "kill $client 2>/dev/null || true"
wait_for 20 grep -q connected "$dir/client" || fail "nobody has connected: $(cat "$dir/client")"
touch "$dir/told"
stop_server
touch "$dir/over"
! grep -q 'stopping' "$log" || fail "it waited for who says nothing: $(tail -n 1 "$log")"
wait "$client" || fail "the client: $(cat "$dir/client")"
assert_eq "$(xargs <"$dir/client")" 'connected ended' 'what the late client saw'
