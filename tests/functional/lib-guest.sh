# shellcheck shell=bash
# lib-guest.sh owns what the tests with a whole machine share: a guest of QEMU (emulated, so that it runs
# everywhere) with Debian's kernel and an initramfs made here, commands in it, and QMP.
#
# Source it after lib.sh:
#
#   . "$(dirname "$0")/lib-guest.sh"
#   guest_programs+=(mke2fs)                # programs of this host that the guest needs
#   guest_modules+=(nbd)                    # modules of the kernel, besides those for disks and ext4
#   guest_start -blockdev "..." -device "virtio-blk-pci,..."
#   guest mke2fs -q -t ext4 /dev/vda        # prints its output; its exit status is the guest's
#   guest_stop
#
# In the guest: busybox, the programs under their usual names, /dev/vda, vdb … in the order of the
# options, and with guest_network the network, where this host's 127.0.0.1 is 10.0.2.2.
#
# What a test may use: $guest_pid, $guest_qmp (a QMP socket that nobody uses), $dir/guest.log (the console),
# $dir/events.log (all that QMP said), $dir/journal.log (what the guest wrote to /dev/channel/journal).
#
# Kernel and initramfs are kept in $XDG_CACHE_HOME/keyfence (~/.cache/keyfence).
# shellcheck disable=SC2034,SC2154  # variables for those who source this, and of lib.sh

guest_modules=(virtio_pci virtio_blk virtio_console virtio_net crc32c_generic ext4)
guest_programs=()   # by name or path; their libraries come along
guest_files=()      # other files, to be at the same path in the guest
guest_memory=256M
guest_network=()    # set by guest_needs_network
guest_pid='' guest_listener='' guest_qmp='' guest_line='' guest_kernel='' guest_initramfs='' guest_in='' guest_out='' guest_requests=0
guest_cache=${XDG_CACHE_HOME:-$HOME/.cache}/keyfence

# Everything that runs in an emulated machine is slow enough without.
not_under_wrapper "a whole machine under a sanitizer or valgrind takes too long"
[ "$(uname -m)" = x86_64 ] || skip "the guest is for x86_64 hosts"
require qemu-system-x86_64 busybox cpio depmod modprobe apt-cache apt-get dpkg-deb ldd flock jq
! ldd "$(command -v busybox)" >/dev/null 2>&1 || skip "busybox needs libraries: install busybox-static"

# ---- the kernel ---------------------------------------------------------------------------------------

# What of a kernel's package a guest may need.
guest_kernel_parts=(./boot './lib/modules/*/modules.*' './lib/modules/*/kernel/'{arch,crypto,fs,lib}
  './lib/modules/*/kernel/drivers/'{block,char,crypto,md,net/net_failover.ko'*',net/virtio_net.ko'*',virtio}
  './lib/modules/*/kernel/net/'{core,unix})

# guest_unpack_kernel DEB FOLDER
guest_unpack_kernel ()
{
  local version

  mkdir -p "$2"
  # Which of the parts there are depends on the kernel.
  dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --wildcards "${guest_kernel_parts[@]}" 2>"$2/tar.log" || true
  version=$(find "$2/lib/modules" -mindepth 1 -maxdepth 1 -printf '%f\n')
  [ -s "$2/boot/vmlinuz-$version" ] && [ -d "$2/lib/modules/$version/kernel/drivers/virtio" ] || return 1
  depmod -b "$2" "$version"
  echo "$version" >"$2/version"
}

# guest_fetch_kernel PACKAGE: into the cache, whole or not at all.
guest_fetch_kernel ()
{
  local folder

  folder=$(mktemp -d "$guest_cache/new.XXXXXX")
  if ! (cd "$folder" && apt-get -q download "$1") >"$dir/kernel.log" 2>&1; then
    apt-get -q update >>"$dir/kernel.log" 2>&1 || true
    (cd "$folder" && apt-get -q download "$1") >>"$dir/kernel.log" 2>&1 ||
      { rm -rf "$folder"; skip "the package $1 can't be downloaded: $(tail -n 1 "$dir/kernel.log")"; }
  fi
  guest_unpack_kernel "$folder"/*.deb "$folder/unpacked" ||
    { rm -rf "$folder"; fail "the package $1 has no kernel that can be used"; }
  mv "$folder/unpacked" "$guest_kernel"
  rm -rf "$folder"
}

# The package that linux-image-amd64 stands for.
guest_kernel_package ()
{
  apt-cache depends linux-image-amd64 2>/dev/null |
    awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ { print $2; exit }'
}

# guest_find_kernel: sets $guest_kernel, its folder.
guest_find_kernel ()
{
  local package

  package=$(guest_kernel_package)
  if [ -z "$package" ]; then
    # Without lists of packages, what an earlier run has left.
    package=$(find "$guest_cache" -mindepth 2 -maxdepth 2 -name version -printf '%h\n' | sort -V | tail -n 1)
    [ -n "$package" ] || skip "apt knows no linux-image-amd64: apt-get update"
    package=${package##*/}
    package=${package%-*}
  fi
  # Which of its parts there are is in the name.
  guest_kernel=$guest_cache/$package-$(cksum <<<"${guest_kernel_parts[*]}" | cut -d ' ' -f 1)
  [ -s "$guest_kernel/version" ] || guest_fetch_kernel "$package"
}

# ---- the initramfs --------------------------------------------------------------------------------------

# The modules with all that they need, in the order of their loading.
guest_module_paths ()
{
  local module

  for module in "${guest_modules[@]}"; do
    modprobe -d "$guest_kernel" -S "$(cat "$guest_kernel/version")" --show-depends "$module" ||
      fail "the guest's kernel has no module $module"
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

# The files of this host that the guest gets, and where: programs, the libraries that they and the other
# files need, the other files.
guest_host_files ()
{
  local name path

  for name in "${guest_programs[@]}"; do
    path=$(command -v "$name")
    printf '%s\t%s\n' "$path" "/usr/bin/${path##*/}"
  done
  for name in "${guest_programs[@]}" "${guest_files[@]}"; do
    { ldd "$(command -v "$name" || echo "$name")" 2>/dev/null || true; } |
      sed -nE 's/^[^/]*(\/[^ ]+) \(0x.*/\1\t\1/p'
  done | sort -u
  for name in "${guest_files[@]}"; do
    printf '%s\t%s\n' "$name" "$name"
  done
}

# guest_copy_files FOLDER: what guest_host_files lists, below the folder.
guest_copy_files ()
{
  local source target

  while IFS=$'\t' read -r source target; do
    install -D -m 755 "$source" "$1$target"
  done
}

# guest_pack FOLDER FILE
guest_pack ()
{
  (cd "$1" && find . -mindepth 1 | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) >"$2.new"
  mv "$2.new" "$2"
}

# guest_make_initramfs FILE
guest_make_initramfs ()
{
  local root=$dir/initramfs module name

  mkdir -p "$root/bin" "$root/modules" "$root/etc" "$root/dev"
  # For those who look up the names of users.
  echo 'root:x:0:0:root:/:/bin/sh' >"$root/etc/passwd"
  cp "$(command -v busybox)" "$root/bin/busybox"
  ln -s busybox "$root/bin/sh"
  install -m 755 "$here/guest-init.sh" "$root/init"
  guest_copy_files "$root" <"$dir/files"
  while IFS= read -r module; do
    name=${module##*/}
    case $name in
      *.xz) name=${name%.xz}; xz -dc "$module" >"$root/modules/$name" ;;
      *.zst) name=${name%.zst}; zstd -dcq "$module" >"$root/modules/$name" ;;
      *) cp "$module" "$root/modules/" ;;
    esac
    echo "$name" >>"$root/modules/list"
  done <"$dir/modules"
  guest_pack "$root" "$1"
  rm -rf "$root"
}

# guest_find_initramfs: sets $guest_initramfs; made only if there is none of the same contents.
guest_find_initramfs ()
{
  local sum

  guest_module_paths >"$dir/modules"
  guest_host_files >"$dir/files"
  sum=$({ cat "$dir/modules" "$dir/files"; cut -f 1 "$dir/files" |
    xargs -d '\n' sha256sum "$(command -v busybox)" "$here/guest-init.sh" "${BASH_SOURCE[0]}"; } |
    sha256sum | cut -c 1-32)
  guest_initramfs=$guest_cache/initramfs-$sum
  if [ ! -s "$guest_initramfs" ]; then
    find "$guest_cache" -maxdepth 1 -name 'initramfs-*' -mtime +7 -delete
    guest_make_initramfs "$guest_initramfs"
  fi
  touch "$guest_initramfs"
}

# guest_prepare: both; tests that run side by side do it one after the other.
guest_prepare ()
{
  local lock

  require "${guest_programs[@]}"
  mkdir -p "$guest_cache"
  exec {lock}>"$guest_cache/lock"
  flock "$lock"
  guest_find_kernel
  guest_find_initramfs
  exec {lock}>&-
}

# ---- starting and stopping ------------------------------------------------------------------------------

guest_needs_network ()
{
  guest_network=(-netdev 'user,id=network' -device 'virtio-net-pci,netdev=network,romfile=')
}

# guest_start [options of QEMU...]: until it takes commands.
guest_start ()
{
  local name

  guest_prepare
  rm -f "$dir"/{command,qmp}.{in,out}
  mkfifo "$dir"/{command,qmp}.{in,out}
  : >"$dir/events.log"
  guest_qmp=$dir/qmp.sock
  # Both ends here, so that opening waits for nobody.
  exec {guest_in}<>"$dir/command.in" {guest_out}<>"$dir/command.out"
  cat "$dir/qmp.out" >>"$dir/events.log" &
  guest_listener=$!
  exec {guest_orders}<>"$dir/qmp.in"
  qemu-system-x86_64 -machine q35,accel=tcg -cpu max -m "$guest_memory" -nodefaults -no-user-config \
    -display none -no-reboot -name "${0##*/}" \
    -kernel "$guest_kernel/boot/vmlinuz-$(cat "$guest_kernel/version")" -initrd "$guest_initramfs" \
    -append "console=ttyS0 loglevel=6 panic=-1 random.trust_cpu=on nokaslr mitigations=off" \
    -serial "file:$dir/guest.log" \
    -chardev "pipe,id=qmp,path=$dir/qmp" -mon chardev=qmp,mode=control \
    -qmp "unix:$guest_qmp,server=on,wait=off" \
    -device virtio-serial-pci \
    -chardev "pipe,id=command,path=$dir/command" -device virtserialport,chardev=command,name=command \
    -chardev "file,id=journal,path=$dir/journal.log,append=on" \
    -device virtserialport,chardev=journal,name=journal \
    "${guest_network[@]}" "$@" >"$dir/qemu.log" 2>&1 </dev/null &
  guest_pid=$!
  # shellcheck disable=SC2016  # looked up at the end
  at_exit '[ -z "$guest_pid" ] || kill -KILL "$guest_pid" "$guest_listener" 2>/dev/null'
  guest_qmp_do qmp_capabilities >/dev/null
  guest_read "$((120 * patience))" || fail "the guest did not start: $(tail -n 3 "$dir/qemu.log" "$dir/guest.log")"
  printf 'guest: up after %s s of its own time\n' "${guest_line#ready }"
}

# guest_read SECONDS: the next line of the port "command" is $guest_line; 1 when none comes, or QEMU ends.
guest_read ()
{
  local end=$((SECONDS + $1)) line

  guest_line=''
  while [ "$SECONDS" -lt "$end" ] && alive "$guest_pid"; do
    # What came of a line before the time was over is in the variable.
    if IFS= read -r -t 1 -u "$guest_out" line; then
      guest_line+=$line
      return 0
    fi
    guest_line+=$line
  done
  return 1
}

# guest [-t SECONDS] COMMAND [ARGUMENT...]: one argument is a script for the guest's shell, several are
# a command.  Prints what it said; its exit status is what it ended with.
guest ()
{
  local seconds=60 script=$1

  if [ "$1" = -t ]; then
    seconds=$2
    shift 2
    script=$1
  fi
  [ $# -eq 1 ] || script=$(printf '%q ' "$@")
  base64 -w 0 <<<"$script" >&"$guest_in"
  echo >&"$guest_in"
  guest_read $((seconds * patience)) ||
    fail "the guest gave no answer to: $script: $(tail -n 3 "$dir/qemu.log" "$dir/guest.log")"
  base64 -d <<<"${guest_line#* }"
  return "${guest_line%% *}"
}

# guest_put FILE PATH: a small file of this host, in the guest.
guest_put ()
{
  guest "echo '$(base64 -w 0 "$1")' | base64 -d >'$2'"
}

# guest_stop: powers it off.
guest_stop ()
{
  base64 -w 0 <<<'sync; poweroff -f' >&"$guest_in"
  echo >&"$guest_in"
  wait_for 60 dead "$guest_pid" || fail "the guest did not power off"
  wait "$guest_pid" || fail "QEMU ended with status $?: $(tail -n 3 "$dir/qemu.log")"
  wait "$guest_listener"
  guest_pid=''
  exec {guest_in}>&- {guest_out}>&- {guest_orders}>&-
}

# guest_saw_no_error: nothing in the kernel's log of a disk or a file system that failed.
guest_saw_no_error ()
{
  guest dmesg >"$dir/dmesg.log"
  ! grep -iE 'I/O error|Buffer I/O|EXT4-fs (error|warning)|XFS .*(error|shut)|remount|hung task|blocked for more' \
    "$dir/dmesg.log" || fail "the guest's kernel saw an error"
}

# ---- QMP ------------------------------------------------------------------------------------------------

guest_replied ()
{
  grep -F "\"id\": \"test-$guest_requests\"" "$dir/events.log" >/dev/null
}

# guest_qmp_do COMMAND [ARGUMENTS as JSON]: prints what it returns.
guest_qmp_do ()
{
  # In a file: this may run in a subshell.
  guest_requests=$(($(cat "$dir/qmp.requests" 2>/dev/null || echo 0) + 1))
  echo "$guest_requests" >"$dir/qmp.requests"
  printf '{"execute": "%s", "arguments": %s, "id": "test-%d"}\n' "$1" "${2:-"{}"}" "$guest_requests" >&"$guest_orders"
  wait_for 30 guest_replied || fail "QMP gave no answer to $1: $(tail -n 3 "$dir/qemu.log")"
  grep -F "\"id\": \"test-$guest_requests\"" "$dir/events.log" >"$dir/reply"
  jq -ce 'has ("return")' "$dir/reply" >/dev/null || fail "$1: $(cat "$dir/reply")"
  jq -c .return "$dir/reply"
}

# guest_status: running, paused, io-error …
guest_status ()
{
  guest_qmp_do query-status | jq -r .status
}

guest_status_is ()
{
  [ "$(guest_status)" = "$1" ]
}

# guest_events NAME: how many there were.
guest_events ()
{
  jq -r 'select (.event) | .event' "$dir/events.log" | grep -c -x "$1" || true
}

guest_events_are ()
{
  [ "$(guest_events "$1")" -ge "$2" ]
}

# ---- a journal in the guest (guest-journal.c) -----------------------------------------------------------

# guest_start_on_disk SECONDS: a machine with the disk of the server started last, which it waits for so long and
# whose errors pause it; ext4 on it, and a journal that grows.
guest_start_on_disk ()
{
  guest_start \
    -blockdev "driver=nbd,node-name=wages,server.type=unix,server.path=$dir/main.nbd,reconnect-delay=$1" \
    -device virtio-blk-pci,drive=wages,werror=stop,rerror=stop
  guest mke2fs -q -t ext4 /dev/vda
  guest 'mkdir /disk && mount -t ext4 /dev/vda /disk'
  guest_journal_start /disk/journal
  guest_journal_grows
}

# guest_journal_start FILE: a record after the other, each durable before its number is told.
guest_journal_start ()
{
  guest "guest-journal write '$1' /dev/channel/journal >/run/journal.log 2>&1 &"
}

# guest_journal_last: the number of the last record that the guest has told of.
guest_journal_last ()
{
  awk '$1 == "durable" { last = $2 } END { print last + 0 }' "$dir/journal.log"
}

guest_journal_passed ()
{
  [ "$(guest_journal_last)" -gt "$1" ]
}

# guest_journal_grows [RECORDS]: it goes on.
guest_journal_grows ()
{
  local from

  from=$(guest_journal_last)
  wait_for 60 guest_journal_passed $((from + ${1:-20})) ||
    fail "the guest writes no more, since record $from: $(tail -n 1 "$dir/journal.log")"
}

# guest_journal_pause: the longest time between two records, in ms, by the guest's own clock.
guest_journal_pause ()
{
  awk '$1 == "durable" { if (last && $3 - last > most) most = $3 - last; last = $3 } END { print most + 0 }' \
    "$dir/journal.log"
}

# guest_journal_stop FILE: ends it; all that was told is there, and the writer saw no error.
guest_journal_stop ()
{
  # shellcheck disable=SC2016  # in the guest
  guest 'kill $(pidof guest-journal); while pidof guest-journal >/dev/null; do sleep 0.1; done'
  ! grep -v '^durable ' "$dir/journal.log" || fail "the guest's program saw an error"
  guest "guest-journal check '$1' $(guest_journal_last)" || fail "the journal is not complete"
}
