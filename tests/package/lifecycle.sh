#!/bin/bash
# The Debian packages from their installation to their purge: installed, at work, upgraded under a server that
# serves, not removed while one does, removed and purged without a trace but what is the user's.
#
#   tests/package/lifecycle.sh [FOLDER]              on this machine's own system, as an overlay that is thrown away
#   tests/package/lifecycle.sh --debootstrap [FOLDER]   in a new minimal system, where apt finds what they depend on
#
# FOLDER is where scripts/package has put them (build-deb).  Needs root.
# shellcheck disable=SC2154,SC2310,SC2312
set -euo pipefail
shopt -s inherit_errexit
here=$(realpath "$(dirname "$0")")

fail ()
{
  printf 'FAIL: %s\n' "$*" >&2
  exit 1
}

# Mounts and processes of its own, which go when it ends.
if [ -z "${KEYFENCE_LIFECYCLE:-}" ]; then
  [ "$(id -u)" -eq 0 ] || fail "needs root"
  tmp=$(mktemp -d "${TMPDIR:-/tmp}/keyfence-lifecycle.XXXXXX")
  trap 'rm -rf --one-file-system "$tmp"' EXIT
  KEYFENCE_LIFECYCLE=$tmp unshare --mount --pid --fork --kill-child --propagation private "$0" "$@"
  exit
fi
tmp=$KEYFENCE_LIFECYCLE root=$KEYFENCE_LIFECYCLE/root mode=overlay
if [ "${1:-}" = --debootstrap ]; then
  mode=debootstrap
  shift
fi
debs=$(realpath "${1:-$here/../../build-deb}")
mapfile -t packages < <(find "$debs" -maxdepth 1 -name '*.deb' ! -name '*-dbgsym_*' | sort)
[ "${#packages[@]}" -eq 2 ] || fail "not two packages in $debs, but ${#packages[@]}: scripts/package makes them"

step ()
{
  printf '== %s (%d s)\n' "$*" "$SECONDS"
}

# ---- the system they are installed on ---------------------------------------------------------------

in_root ()
{
  chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive TMPDIR=/tmp "$@"
}

make_overlay ()
{
  mount -t tmpfs tmpfs "$tmp"
  mkdir "$tmp/upper" "$tmp/work" "$root"
  mount -t overlay overlay -o "lowerdir=/,upperdir=$tmp/upper,workdir=$tmp/work" "$root"
}

make_debootstrap ()
{
  mkdir "$root"
  debootstrap --variant=minbase --include=libnbd-bin bookworm "$root" >"$tmp/debootstrap.log" 2>&1 ||
    { tail "$tmp/debootstrap.log" >&2; fail "debootstrap"; }
  cp /etc/resolv.conf "$root/etc/"
  if [ -e /etc/apt/apt.conf.d ]; then
    cp /etc/apt/apt.conf.d/*proxy* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
  fi
}

make_root ()
{
  "make_$mode"
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount -t tmpfs tmpfs "$root/run"
  mount -t tmpfs tmpfs "$root/tmp"
  mkdir "$root/run/debs" "$root/run/volumes"
  cp "${packages[@]}" "$root/run/debs/"
}

# What the packages have left behind, or taken along, but for what dpkg, apt and caches write for themselves.  On
# the overlay that is what differs from below; in a new system, what has the name.
left_behind ()
{
  local type path

  if [ "$mode" = debootstrap ]; then
    find "$root" -xdev \( -path "$root/var/lib/dpkg" -o -path "$root/var/cache" \) -prune -o -iname '*keyfence*' -print
    return
  fi
  (cd "$tmp/upper" && find etc usr var -xdev \
    \( -path var/lib/dpkg -o -path var/lib/apt -o -path var/cache -o -path var/log/apt \) -prune -o -printf '%y %p\n') |
    while read -r type path; do
      if [ "$type" = c ]; then
        echo "lost: /$path"
      elif [ ! -e "/$path" ] && [ ! -L "/$path" ]; then
        echo "left: /$path"
      fi
    done
}

# install_packages FOLDER: those in it, as a user would.
install_packages ()
{
  local files=("$root/run/$1"/*.deb)

  if [ "$mode" = debootstrap ]; then
    in_root apt-get install -qq -y --no-install-recommends "${files[@]#"$root"}"
  else
    in_root dpkg -i "${files[@]#"$root"}"
  fi
}

# newer FILE: the same package with a higher version.
newer ()
{
  local folder=$tmp/unpacked

  rm -rf "$folder"
  dpkg-deb -R "$1" "$folder"
  sed -i 's/^Version: .*/&+newer1/' "$folder/DEBIAN/control"
  dpkg-deb --root-owner-group -Zgzip -b "$folder" "$root/run/newer/${1##*/}" >/dev/null
}

keyfence ()
{
  in_root keyfence "$@"
}

# await STATUS VOLUME
await ()
{
  local status i

  for ((i = 0; i < 600; i++)); do
    status=0
    keyfence status "$2" >/dev/null 2>&1 || status=$?
    [ "$status" -ne "$1" ] || return 0
    sleep 0.1
  done
  fail "keyfence status $2: $status, never $1"
}

serve ()
{
  keyfence serve /run/volumes/disk.kf --pidfile /run/volumes/pid --socket /run/volumes/nbd \
    check-interval=1s check-timeout=5s >/dev/null
  server=$(cat "$root/run/volumes/pid")
}

# end PID: as the shell does it; not every system has the program kill.
end ()
{
  in_root sh -c "kill $1"
}

stop ()
{
  local i

  end "$server"
  for ((i = 0; i < 300; i++)); do
    [ -e "/proc/$server" ] || return 0
    sleep 0.1
  done
  fail "the server does not end"
}

# Reads the whole disk again and again; what fails is told in run/volumes/failed.
read_on ()
{
  while [ ! -e "$root/run/volumes/enough" ]; do
    in_root nbdcopy 'nbd+unix:///?socket=/run/volumes/nbd' /run/volumes/copy 2>>"$root/run/volumes/failed" &&
      cmp "$root/run/volumes/copy" "$root/run/volumes/data" >>"$root/run/volumes/failed" 2>&1 &&
      echo read >>"$root/run/volumes/read"
  done
}

# ---- from installation to purge -----------------------------------------------------------------------

mount -t proc proc /proc
make_root
[ "$mode" = overlay ] || in_root apt-get update -qq

step install
install_packages debs >"$tmp/install.log" 2>&1 || { cat "$tmp/install.log" >&2; fail "installation"; }
[ -z "$(in_root dpkg --verify keyfence keyfence-kms-sim)" ] || fail "files are not as the package has them"
[ "$(stat -c %a "$root/etc/keyfence")" = 700 ] || fail "/etc/keyfence is not mode 0700"
[ -z "$(ls -A "$root/etc/keyfence")" ] || fail "the installation has put something into /etc/keyfence"
[ -z "$(ls -A "$root/run/keyfence" 2>/dev/null)" ] || fail "the installation has started something"
[ "$(keyfence --version)" = "keyfence $(dpkg-deb -f "${packages[0]}" Version | sed 's/-[^-]*$//')" ] ||
  fail "the version is $(keyfence --version)"
in_root nbdkit keyfence --dump-plugin >"$tmp/plugin" || fail "nbdkit does not know the plugin"

step 'at work'
cp "$here/../../debian/tests/smoke" "$root/run/smoke"
in_root /run/smoke >"$tmp/smoke.log" 2>&1 || { tail -n 40 "$tmp/smoke.log" >&2; fail "debian/tests/smoke"; }

step 'upgrade under a server that serves'
in_root sh -c 'umask 077; head -c 32 /dev/urandom >/etc/keyfence/kek'
keyfence create /run/volumes/disk.kf --size 16M --label wages --key file:///etc/keyfence/kek >/dev/null
serve
head -c 16777216 /dev/urandom >"$root/run/volumes/data"
in_root nbdcopy --flush /run/volumes/data 'nbd+unix:///?socket=/run/volumes/nbd'
read_on &
reader=$!
mkdir "$root/run/newer"
for package in "${packages[@]}"; do
  newer "$package"
done
install_packages newer >"$tmp/upgrade.log" 2>&1 || { cat "$tmp/upgrade.log" >&2; fail "upgrade"; }
in_root dpkg -s keyfence | grep '^Version: .*+newer1$' >/dev/null || fail "not upgraded"
[ -e "/proc/$server" ] || fail "the server has ended"
grep -q 'nbdkit-keyfence-plugin.so (deleted)' "/proc/$server/maps" || fail "the plugin's file was not replaced"
keyfence check wages >/dev/null || fail "the old server does not check its key any more"
# Its agent dies: the new program takes its place.
end "$(keyfence status wages --json | sed -n 's/.*"agent_pid":[[:space:]]*\([0-9]*\).*/\1/p')"
await 0 wages
for ((i = 0; i < 100; i++)); do
  ! keyfence check wages >/dev/null 2>&1 || break
  sleep 0.1
done
keyfence check wages >/dev/null || fail "the old server has no use of the new agent"
touch "$root/run/volumes/enough"
wait "$reader" || true
[ ! -s "$root/run/volumes/failed" ] || fail "a reader was disturbed: $(tail -n 3 "$root/run/volumes/failed")"
[ "$(wc -l <"$root/run/volumes/read")" -ge 3 ] || fail "nothing was read during the upgrade"
stop
serve
in_root nbdcopy 'nbd+unix:///?socket=/run/volumes/nbd' /run/volumes/copy
cmp "$root/run/volumes/copy" "$root/run/volumes/data" || fail "not the same data after the upgrade"

step 'no removal while a volume is served'
! in_root dpkg -r keyfence >"$tmp/refused.log" 2>&1 || fail "removed under a server that serves"
grep -q wages "$tmp/refused.log" || fail "it is not said which volume is in the way: $(cat "$tmp/refused.log")"
keyfence status wages >/dev/null || fail "the refused removal has disturbed the server"
stop

step 'removal and purge'
mkdir -p "$root/etc/systemd/system/multi-user.target.wants" "$root/var/log/keyfence" "$root/var/lib/keyfence/drills"
ln -s /usr/lib/systemd/system/keyfence@.service "$root/etc/systemd/system/multi-user.target.wants/keyfence@wages.service"
echo '{}' >"$root/var/log/keyfence/wages.jsonl"
echo report >"$root/var/lib/keyfence/drills/wages.html"
in_root dpkg -r keyfence keyfence-kms-sim >"$tmp/remove.log" 2>&1 || { cat "$tmp/remove.log" >&2; fail "removal"; }
[ -s "$root/var/log/keyfence/wages.jsonl" ] || fail "a removal takes the logs"
[ ! -e "$root/usr/bin/keyfence" ] || fail "not removed"
in_root dpkg -P keyfence keyfence-kms-sim >"$tmp/purge.log" 2>&1 || { cat "$tmp/purge.log" >&2; fail "purge"; }
[ -s "$root/etc/keyfence/kek" ] || fail "a purge takes the key"
[ -s "$root/var/lib/keyfence/drills/wages.html" ] || fail "a purge takes the reports"
rm -r "$root/etc/keyfence" "$root/var/lib/keyfence"
left=$(left_behind)
[ -z "$left" ] || fail "not as it was: $(head -n 20 <<<"$left")"
step 'all as it should be'
