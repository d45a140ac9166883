#!/bin/bash
# The units under a real systemd: this host's own, booted in a container over a copy of this host's root
# folder that is thrown away.
. "$(dirname "$0")/lib.sh"
not_under_wrapper "what is installed in the container is not wrapped"
! grep -q __asan_init "$KEYFENCE" || skip "a sanitizer's runtime does not go with a unit's sandbox"
require_root
require systemd-nspawn meson jq nbdcopy nbdinfo
[ -x /lib/systemd/systemd ] || skip "systemd is not installed"

root=$dir/upper/root
mkdir "$dir/upper"
mount -t tmpfs -o size=2G units "$dir/upper" 2>"$dir/output" || skip "nothing can be mounted: $(cat "$dir/output")"
at_exit "umount -R -l '$dir/upper'"
mkdir "$root" "$dir/upper/changes" "$dir/upper/work"
mount -t overlay -o "lowerdir=/,upperdir=$dir/upper/changes,workdir=$dir/upper/work" units "$root" 2>"$dir/output" ||
  skip "there is no overlay file system: $(cat "$dir/output")"
at_exit "umount -l '$root'"

# Nothing of this host is started, nor seen where volumes and configurations are.
rm -rf "$root/etc/systemd/system" "$root/etc/keyfence" "$root/srv/keyfence"
mkdir -p "$root/etc/systemd/system/multi-user.target.wants" "$root/etc/keyfence" "$root/srv/keyfence"
: >"$root/etc/fstab"
: >"$root/etc/machine-id"
meson install -C "$KEYFENCE_BUILD" --no-rebuild --destdir "$root" >"$dir/install.log" 2>&1 ||
  { tail "$dir/install.log" >&2; fail "meson install"; }
install -m 755 "$here/units-systemd-inside.sh" "$root/inside"
(umask 077 && { printf kfPlanted; head -c 23 /dev/urandom; } >"$root/etc/keyfence/kek")
cat >"$root/etc/systemd/system/inside.service" <<END
[Service]
Type=oneshot
Environment=patience=$patience
ExecStart=/inside
StandardOutput=append:/inside.log
StandardError=inherit
ExecStopPost=/bin/sh -c 'echo "\$EXIT_STATUS" >/inside.status; journalctl -b -o cat -u "keyfence*" >/journal.log'
ExecStopPost=/bin/sh -c 'systemctl --no-block --force poweroff 2>/dev/null'
END
ln -s ../inside.service "$root/etc/systemd/system/multi-user.target.wants/"

timeout $((150 * patience)) systemd-nspawn --directory="$root" --machine="keyfence-$$" --register=no --keep-unit \
  --private-network --console=pipe --boot systemd.unit=multi-user.target </dev/null >"$dir/nspawn.log" 2>&1 || true
[ -e "$root/inside.log" ] || skip "systemd does not come up in a container here: $(grep -a . "$dir/nspawn.log" | tail -n 1)"
cp "$root/journal.log" "$dir/journal.log" 2>/dev/null || true
cat "$root/inside.log"
[ "$(cat "$root/inside.status" 2>/dev/null)" = 0 ] || { tail -n 40 "$dir/journal.log" >&2; fail "in the container: $(tail -n 1 "$root/inside.log")"; }
