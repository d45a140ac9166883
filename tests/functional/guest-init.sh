#!/bin/sh
# guest-init.sh owns what a guest of lib-guest.sh does: it mounts what every Linux has, loads the modules
# that were brought along, and runs the commands that come through the port "command", one a line, in
# base64; each is answered by a line of its exit status and its output, in base64.
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /mnt /var /usr/bin /usr/sbin
/bin/busybox --install -s /bin
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/ DM_DISABLE_UDEV=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mkdir -p /run/lock /run/cryptsetup /dev/shm
ln -sf /proc/self/mounts /etc/mtab
while read -r module; do
  insmod "/modules/$module" || echo "guest: $module can't be loaded"
done </modules/list

# The ports by their names, which come a little later than the ports: /dev/channel/NAME.
mkdir /dev/channel
for _ in $(seq 100); do
  for port in /sys/class/virtio-ports/*; do
    [ ! -s "$port/name" ] || ln -sf "../${port##*/}" "/dev/channel/$(cat "$port/name")"
  done
  [ ! -e /dev/channel/command ] || [ ! -e /dev/channel/journal ] || break
  sleep 0.1
done
ip link set lo up
if [ -e /sys/class/net/eth0 ]; then
  ip link set eth0 up
  ip address add 10.0.2.15/24 dev eth0
  ip route add default via 10.0.2.2
fi

# busybox prefers its own programs to those of the same name that were brought along.
for program in /usr/bin/*; do
  [ ! -x "$program" ] || echo "alias ${program##*/}=$program"
done >/run/aliases

exec 3<>/dev/channel/command || { echo "guest: there is no port for commands"; poweroff -f; }
echo "ready $(cut -d ' ' -f 1 /proc/uptime)" >&3
while IFS= read -r line <&3; do
  { cat /run/aliases; printf '%s' "$line" | base64 -d; } >/run/command
  status=0
  sh /run/command >/run/output 2>&1 3>&- </dev/null || status=$?
  printf '%s %s\n' "$status" "$(base64 -w 0 /run/output)" >&3
done
poweroff -f
