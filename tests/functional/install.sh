#!/bin/bash
# `meson install` installs what is recorded, and what it has installed works: nbdkit knows the plugin by its name,
# and the plugin finds its agent.
. "$(dirname "$0")/lib.sh"
require meson jq pod2man

meson install -C "$KEYFENCE_BUILD" --no-rebuild --destdir "$dir/dest" >"$dir/install.log" 2>&1 ||
  fail "meson install: $(tail -n 3 "$dir/install.log")"
options=$(meson introspect --buildoptions "$KEYFENCE_BUILD")
prefix=$(jq -r '.[] | select (.name == "prefix").value' <<<"$options")

# Paths as in the list: below the prefix, and nbdkit's own folder by a word.
(cd "$dir/dest" && find . ! -type d -printf '%M /%P\n') |
  sed -e "s#$prefix/##" -e 's#/.*/nbdkit/plugins/#NBDKIT-PLUGINS/#' -e 's/^-\([rwx-]*\)/\1/' | sort -k 2 >"$dir/installed"
diff "$here/installed-files.txt" "$dir/installed" ||
  fail "not what tests/functional/installed-files.txt has: put what is meant into it"

# Units name the programs where they are.
for unit in "$dir/dest$prefix"/lib/systemd/system/*.service; do
  while read -r program; do
    [ -x "$dir/dest$program" ] || fail "${unit##*/} starts $program, which is not installed"
  done < <(sed -n 's#^Exec[A-Za-z]*=[-+@:!]*\([^ ]*keyfence[^ ]*\).*#\1#p' "$unit")
  ! grep '@[a-z]*@' "$unit" || fail "${unit##*/} has words in it that should have been replaced"
done

require_root
require unshare
echo "#!/bin/bash
exec unshare --mount --propagation private bash -c 'mount -t overlay overlay -o lowerdir=$dir/dest/usr:/usr /usr && exec \"\$0\" \"\$@\"' \"\${0##*/}\" \"\$@\"" |
  tee "$dir/nbdkit" >"$dir/keyfence"
chmod +x "$dir/nbdkit" "$dir/keyfence"
"$dir/nbdkit" --version >/dev/null 2>"$dir/output" || skip "no overlay of what was installed: $(tail -n 1 "$dir/output")"

make_volume "$dir/disk" 16M --label installed
PATH=$prefix/bin:$PATH "$dir/keyfence" inspect "$dir/disk" | grep '^label: *installed' >/dev/null || fail "the installed keyfence does not work"
NBDKIT=$dir/nbdkit plugin=keyfence
start_server "$dir/disk"
nbd_io "write 0 1M 0x41" flush "read 0 1M 0x41"
agent=$(server_status_json | jq .agent_pid)
assert_eq "$(readlink "/proc/$agent/exe")" \
  "$prefix/$(jq -r '.[] | select (.name == "libexecdir").value' <<<"$options")/keyfence/keyfence-agent" "the agent's program"
grep "/nbdkit/plugins/nbdkit-keyfence-plugin.so" "/proc/$server_pid/maps" >/dev/null || fail "not the installed plugin"
stop_server
