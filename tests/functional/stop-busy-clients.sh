#!/bin/bash
# A server that is told to end while clients write one block after the other, or ask for nothing, ends at
# once, and answers no request with an error.
. "$(dirname "$0")/lib.sh"
require perl
make_volume "$dir/disk" 16M

# client NAME COUNT: negotiates by hand (fixed newstyle, NBD_OPT_EXPORT_NAME), keeps COUNT writes of 4 KiB
# under way, each of its own number, and says how many were answered well when the server has gone.
client ()
{
  perl -e '
    use IO::Socket::UNIX;
    my ($path, $depth) = @ARGV;
    my $s = IO::Socket::UNIX->new(Peer => $path) or die "connect: $!";
    sub get { my ($n, $all) = (shift, ""); while (length $all < $n) { sysread($s, my $part, $n - length $all) or last; $all .= $part } $all }
    $SIG{PIPE} = "IGNORE";
    $| = 1;
    get(18);
    syswrite $s, pack("N", 3) . "IHAVEOPT" . pack("NN", 1, 0);
    get(10);
    my ($asked, $answered) = (0, 0);
    sub ask { syswrite $s, pack("NnnQ>Q>N", 0x25609513, 0, 1, $asked, $asked % 4096 * 4096, 4096) . pack("N", $asked) x 1024; $asked++ }
    print "connected\n";
    ask() for 1 .. $depth;
    while (length(my $reply = get(16)) == 16) {
      my ($magic, $error, $cookie) = unpack("NNQ>", $reply);
      if ($magic != 0x67446698 || $error) { print "error $error\n"; exit 1 }
      $answered++;
      ask() if $depth;
    }
    print "answered $answered\n";
  ' "$dir/main.nbd" "$2" >"$dir/client-$1"
}

has_asked ()
{
  [ "$(grep -l connected "$dir"/client-* | wc -l)" -eq 4 ]
}

for round in 1 2 3 4 5; do
  start_server "$dir/disk"
  rm -f "$dir"/client-*
  clients=()
  for depth in 0 1 4 16; do
    client "$depth" "$depth" &
    clients+=($!)
  done
  wait_for 20 has_asked || fail "the clients did not connect"
  sleep 0.$((round * 7))
  from_ms=$(date +%s%3N)
  stop_server
  printf 'ended after %d ms: ' $(($(date +%s%3N) - from_ms))
  for client in "${clients[@]}"; do
    wait "$client" || fail "a client was answered with an error: $(grep -h error "$dir"/client-*)"
  done
  cat "$dir"/client-* | grep answered | xargs
done
