#!/bin/bash
# What docs/guides/virtual-machines.md shows is so: its commands run as they are written, but for folders,
# ports and sizes, and QEMU's firmware reads the disk, is paused by a fence, and goes on; its XML is valid
# for libvirt.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-fence.sh"
. "$(dirname "$0")/lib-guide.sh"
require qemu-system-x86_64 qemu-img qemu-io nbdinfo jq nc openssl python3 xmllint
guide_of virtual-machines
tested=(nbd-client) # by guest-nbd-tls
port=$((20000 + RANDOM % 20000))

# run NAME: a block of the guide, with this test's folders, here, so that it takes our functions.
run ()
{
  tested+=("$1")
  guide_block "$1" | sed -e "s|/srv/|$dir/srv/|g; s|/etc/|$dir/etc/|g; s|/run/|$dir/run/|g; s|/usr/share/|$dir/share/|g" \
    -e "s|10809|$port|g; s|192\.0\.2\.10|127.0.0.1|g; s|--size 20G|--size 32M|; s|-m 2G|-m 128M|" >"$dir/block-$1"
  # shellcheck disable=SC1090  # made just now
  . "$dir/block-$1" >"$dir/output" 2>&1 || { cat "$dir/output" >&2; fail "the guide's block $1"; }
}

# In the guide's blocks: a machine without a screen, in the background, and with a QMP socket for us.
# shellcheck disable=SC2317  # called by them
qemu-system-x86_64 ()
{
  command qemu-system-x86_64 -accel tcg -nodefaults -display none -pidfile "$dir/qemu.pid" -daemonize "$@" \
    -qmp "unix:$dir/test.qmp,server=on,wait=off"
}

monitor ()
{
  "$here/qmp-ask.py" "$dir/test.qmp" "$@"
}

machine_is ()
{
  assert_json "$(monitor query-status)" '.status | test ("'"$1"'")'
}

machine_becomes ()
{
  wait_for 30 machine_is "$1" 2>/dev/null || machine_is "$1"
}

machine_start ()
{
  run "$1"
  machine_pid=$(cat "$dir/qemu.pid")
  at_exit "kill -KILL $machine_pid 2>/dev/null"
}

machine_end ()
{
  monitor quit >/dev/null
  wait_for 20 dead "$machine_pid" || fail "QEMU did not end"
}

# reads_since NUMBER: requests that the server has served.
reads_since ()
{
  status_is ".io.reads > $1"
}

# machine NAME: the firmware of a machine that is started as the guide says reads its disk.
machine ()
{
  local reads

  reads=$(server_status_json | jq .io.reads)
  machine_start "$1"
  wait_for 30 reads_since "$reads" || fail "the machine of $1 does not read its disk"
  machine_is running
  # QEMU has such a status only for disks whose errors pause the machine.
  assert_json "$(monitor query-block)" '[.[] | select (.inserted) | .["io-status"]] == ["ok"]' "werror and rerror of $1"
  machine_end
}

# serve NAME [FILE]: the server, as the guide starts it, of that volume.
serve ()
{
  run "$1"
  server_pid=$(sed -nE 's/^pid: *([0-9]+).*/\1/p' "$dir/output" | tail -n 1)
  at_exit "kill $server_pid 2>/dev/null"
  control=$KEYFENCE_RUNDIR/$(volume_uuid "$dir/srv/wages.kf").sock
  await_state active
}

serve_end ()
{
  kill "$server_pid"
  wait_for 20 dead "$server_pid" || fail "the server did not end"
}

# certificate NAME: in $dir/tls, signed by the authority of this test.
certificate ()
{
  openssl req -newkey rsa:2048 -nodes -subj "/CN=$1" -keyout "$dir/tls/$1-key.pem" -out "$dir/tls/$1.csr"
  openssl x509 -req -in "$dir/tls/$1.csr" -CA "$dir/tls/ca-cert.pem" -CAkey "$dir/tls/ca-key.pem" -days 2 \
    -extfile <(echo "subjectAltName = DNS:store.example") -out "$dir/tls/$1-cert.pem"
}

make_certificates ()
{
  mkdir "$dir/tls"
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=authority of a test' \
    -keyout "$dir/tls/ca-key.pem" -out "$dir/tls/ca-cert.pem"
  certificate server
  certificate client
  cp "$dir"/tls/{ca-cert,server-cert,server-key}.pem "$dir/etc/keyfence/tls/"
  cp "$dir"/tls/{ca-cert,client-cert,client-key}.pem "$dir/etc/pki/qemu/"
}

mkdir -p "$dir"/{srv,etc/keyfence/tls,etc/pki/qemu,run/keyfence,run/qemu,share/doc/keyfence/examples}
make_kek "$dir/etc/keyfence/wages.kek"
cp "$here"/../../docs/examples/keyfence-resume-vms "$dir/share/doc/keyfence/examples/"
cd "$dir"

# On a Unix socket.
serve serve
random_file "$dir/plain" 32M
qemu-img convert -f raw -O qcow2 "$dir/plain" "$dir/debian.qcow2"
run qemu-img
qemu-img compare -f raw -F raw "$dir/plain" "nbd+unix:///?socket=$dir/run/keyfence/wages.nbd" >"$dir/compare.log"
machine qemu-unix
machine qemu-uri

# A machine whose disk is fenced stops at its first request, and goes on by the command.
server_command fence >"$dir/output"
machine_start qemu-unix
machine_becomes io-error
reads=$(server_status_json | jq .io.reads)
server_command unfence >"$dir/output"
machine_is io-error
run resume
machine_is running
wait_for 30 reads_since "$reads" || fail "the machine does not read after it was resumed"
machine_end
serve_end

# By the hook: as it is installed, but with the socket that the guide says to write, and this test's folder.
serve hook
sed -i -e "s|/run/qemu|$dir/run/qemu|; s|exec keyfence|KEYFENCE_RUNDIR=$KEYFENCE_RUNDIR exec $KEYFENCE|" \
  -e "s|--volume \"\$KEYFENCE_VOLUME\"|--uri $dir/run/keyfence/wages.nbd|" "$dir/etc/keyfence/resume-vms"
server_command fence >"$dir/output"
machine_start qemu-unix
machine_becomes io-error
server_command unfence >"$dir/output"
machine_becomes running
machine_end
serve_end

# Over TCP, by certificates and by keys; nobody else gets in.
make_certificates >"$dir/openssl.log" 2>&1
serve serve-tls
expect_fail any '.' nbdinfo "nbd://127.0.0.1:$port"
expect_fail any '.' qemu-img info "nbd://127.0.0.1:$port"
machine qemu-tls
# A server that has another name is none of ours.
sed 's/store.example/other.example/' "$dir/block-qemu-tls" >"$dir/block-other"
# shellcheck disable=SC1091  # made just now
expect_fail any 'does not match the hostname' . "$dir/block-other"
serve_end
run psk
cp "$dir/etc/keyfence/keys.psk" "$dir/etc/pki/qemu/"
serve serve-psk
machine qemu-psk
echo "vmhost1:$(openssl rand -hex 32)" >"$dir/etc/pki/qemu/keys.psk"
# shellcheck disable=SC1091
expect_fail any 'TLS' . "$dir/block-qemu-psk"
serve_end

# For reading only, twice.
run read-only
while read -r pid; do
  at_exit "kill $pid 2>/dev/null"
done < <(sed -nE 's/^pid: *([0-9]+).*/\1/p' "$dir/output")
for socket in "$dir"/run/keyfence/wages-[12].nbd; do
  qemu-img compare -f raw -F raw "$dir/plain" "nbd+unix:///?socket=$socket" >"$dir/compare.log"
  nbdinfo --is read-only "nbd+unix:///?socket=$socket"
done

guide_all_tested "${tested[@]}"
