#!/bin/bash
# systemd's units: systemd understands them, they leave little open, and what they run and name is there.
. "$(dirname "$0")/lib.sh"
require systemd-analyze

units=$here/../../docs/units
mkdir "$dir/units" "$dir/conf"
cd "$dir/units"
for file in "$units"/*.service.in; do
  name=${file##*/}
  sed "s|@bindir@|${KEYFENCE%/*}|; s|@libexecdir@|$KEYFENCE_BUILD/kms|" "$file" >"${name%.in}"
done
cp "$units"/*.socket .
! grep -n '@[a-z]*@[^.]*$' ./*.service || fail "something is not filled in"

# Templates are looked at as an instance of theirs.
instances=()
for file in *; do
  [[ $file != *@.* ]] || { cp "$file" "${file/@./@wages.}" && file=${file/@./@wages.}; }
  instances+=("$file")
done
export SYSTEMD_UNIT_PATH=$dir/units:
systemd-analyze verify --man=no "${instances[@]}" >"$dir/output" 2>&1 || { cat "$dir/output" >&2; fail "systemd-analyze verify"; }
[ ! -s "$dir/output" ] || { cat "$dir/output" >&2; fail "systemd-analyze verify has something to say"; }

# exposed UNIT MOST: systemd's own measure, from 0 (nothing) to 10.
exposed ()
{
  systemd-analyze security --offline=yes --threshold="$2" "$1" >"$dir/output" || { cat "$dir/output" >&2; fail "$1: more exposed than $2/10"; }
  tail -n 1 "$dir/output"
}
exposed keyfence@wages.service 12
exposed keyfence-agent@wages.service 22
exposed keyfence-exporter.service 25

# directives UNIT NAME: its values, one a line.
directives ()
{
  sed -n "s/^$2=//p" "$1"
}

# What is run is accepted as it stands: every option, parameter and name is there.
export KEYFENCE_CONFDIR=$dir/conf KEYFENCE_RUNDIR=/run/keyfence
printf 'path = /srv/keyfence/wages.kf\n' >"$dir/conf/wages.conf"
read -ra words <<<"$(directives keyfence@wages.service ExecStart | sed 's/%i/wages/g')"
"${words[@]}" --dry-run >"$dir/output" 2>&1 || fail "ExecStart of keyfence@.service: $(cat "$dir/output")"
for file in keyfence@.service keyfence-attach@.service keyfence-exporter.service; do
  for name in ExecStart ExecReload ExecStop; do
    while read -r program command _; do
      [ "$program" = "$KEYFENCE" ] || fail "$file runs $program"
      keyfence "$command" --help >/dev/null
    done < <(directives "$file" "$name")
  done
done
read -ra words <<<"$(directives keyfence-agent@wages.service ExecStart)"
expect_fail 2 'there is no listening socket on file descriptor 3' "${words[@]}"

# The sockets are where the other side looks for them.
assert_match "$(cat "$units/keyfence@.service.in")" " agent-socket=$(directives keyfence-agent@.socket ListenSequentialPacket)" \
  "the agent's socket"
"$KEYFENCE" serve --dry-run --config wages >"$dir/output"
assert_match "$(cat "$dir/output")" "--unix=$(directives keyfence@.socket ListenStream | sed 's/%i/wages/')" "the NBD socket"

# Every file that the manual names is there, and every unit is in the manual.
manual=$(cat "$here/../../docs/keyfence.conf.pod")
for file in keyfence@ keyfence-agent@; do
  for kind in socket service; do
    assert_match "$manual" "F<${file}NAME.$kind>" "the manual"
  done
done
assert_match "$manual" 'F<keyfence-attach@NAME.service>' "the manual"
# The line of fstab in the unit is the manual's, which has another name.
fstab=$(sed -n 's/^#   \(\/dev\/keyfence\/.*\)/\1/p' keyfence-attach@.service)
[[ $manual == *"${fstab//NAME/wages}"* ]] || fail "the manual lacks: $fstab"
# The example in the manual is the file.
while read -r line; do
  [ -z "$line" ] || [[ $line == \#* ]] || [[ $manual == *"$line"* ]] || fail "block-device.conf has $line, the manual has not"
done <"$units/block-device.conf"
# And so is the example of a configuration.
"$KEYFENCE" serve --dry-run --config "$here/../../docs/examples/wages.conf" >/dev/null
