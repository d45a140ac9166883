# shellcheck shell=bash disable=SC2034  # the lists are for those who source this
# packages.sh owns which Debian packages keyfence needs, and installs those that are missing.
# Sourced by the other scripts.

# To run: the server, and the NBD tools that the manual speaks of.
packages_run=(nbdkit libnbd-bin cryptsetup-bin e2fsprogs fuse3 kmod mount util-linux)

# To build, with the man pages (pod2man is in perl).
packages_build=(gcc libc6-dev meson ninja-build pkg-config perl
  nbdkit-plugin-dev libssl-dev libgcrypt20-dev libcjson-dev libcryptsetup-dev
  libblkid-dev libfuse3-dev libcurl4-openssl-dev libmicrohttpd-dev libnbd-dev libnl-genl-3-dev libcmocka-dev liburing-dev)

# To test: NBD clients, file systems, fault finding, lints.
packages_test=(bash-completion btrfs-progs clang clang-format libclang-rt-14-dev llvm fio gdb iproute2 jq
  netcat-openbsd openssl perl procps python3 psmisc qemu-utils shellcheck systemd
  systemd-container xxd valgrind xfsprogs libc6-dbg)

# To make Debian packages and judge them.
packages_package=(build-essential debhelper dpkg-dev lintian)

# Databases to run on volumes; a package of MariaDB's that starts no service.
packages_test+=(mariadb-client-core mariadb-server-core)

# A browser for the exporter's page; and Prometheus, for its promtool, and PostgreSQL, where their packages don't
# also start a server (without them, these parts of the tests are skipped).
packages_test+=(chromium)
[ -d /run/systemd/system ] || packages_test+=(postgresql-15 prometheus)

# Whole machines (tests/functional/lib-guest.sh): QEMU, and what is put into them.
packages_test+=(qemu-system-x86 busybox-static cpio kmod nbd-client)
# libvirt's schemas, for its XML in the guide.
packages_test+=(libvirt0 libxml2-utils)

# A Node.js from elsewhere brings its own npm, which Debian's package would not go with.
command -v npm >/dev/null || packages_test+=(nodejs npm)

# packages_missing NAME...: those of them that are not installed, one a line.
packages_missing ()
{
  local installed name

  installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true)
  for name in "$@"; do
    [[ $'\n'$installed$'\n' == *$'\n'"$name installed"$'\n'* ]] || echo "$name"
  done
}

# packages_install NAME...: installs what is missing; does nothing, quickly, when all is there.
packages_install ()
{
  local missing=() root=()

  if ! command -v dpkg-query >/dev/null; then
    echo "This is not Debian: make sure that the equivalents of these are installed: $*" >&2
    return 0
  fi
  mapfile -t missing < <(packages_missing "$@")
  [ "${#missing[@]}" -gt 0 ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "Missing packages, and neither root nor sudo to install them: ${missing[*]}" >&2
      return 1
    fi
    root=(sudo)
  fi
  echo "Installing: ${missing[*]}" >&2
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq update >&2 &&
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
      --no-install-recommends "${missing[@]}" >&2
}
