#!/bin/bash
# The XML of docs/guides/virtual-machines.md is valid for libvirt; and the hook for libvirt's machines
# resumes those that a disk's error has paused, and no others.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-guide.sh"
require xmllint
schema=/usr/share/libvirt/schemas/domain.rng
[ -r "$schema" ] || skip "libvirt's schemas are not installed (package libvirt0)"

# is_valid FILE: the disk in it, in a machine.
is_valid ()
{
  {
    echo "<domain type='qemu'><name>wages</name><memory unit='GiB'>2</memory>"
    echo "<os><type arch='x86_64' machine='q35'>hvm</type></os><devices>"
    cat "$1"
    echo '</devices></domain>'
  } >"$dir/domain.xml"
  xmllint --noout --relaxng "$schema" "$dir/domain.xml" >"$dir/xmllint.log" 2>&1
}

guide_of virtual-machines
guide_xml
for n in 1 2; do
  is_valid "$dir/guide-$n.xml" || { cat "$dir/xmllint.log" >&2; fail "block $n of XML is not valid"; }
  # The schema knows the words that matter here.
  for word in "rerror_policy='stop'" " error_policy='stop'" "protocol='nbd'"; do
    grep -F "$word" "$dir/guide-$n.xml" >/dev/null || fail "block $n of XML lacks $word"
    sed "s|$word|${word%\'}x'|" "$dir/guide-$n.xml" >"$dir/wrong.xml"
    ! is_valid "$dir/wrong.xml" || fail "the schema does not look at $word"
  done
done
[ ! -e "$dir/guide-3.xml" ] || fail "there is XML that is not tested"

# The hook, with virsh played.
mkdir "$dir/bin" "$dir/machines"
cat >"$dir/bin/virsh" <<'EOT'
#!/bin/sh
# One file a machine in $MACHINES, with its state as `virsh domstate --reason` says it.
cd "$MACHINES" || exit 1
case $* in
  '--quiet list --state-paused --uuid') grep -l '^paused' -- * ;;
  '--quiet domstate --reason '*) cat "$4" ;;
  '--quiet resume '*) echo 'running (unpaused)' >"$3" ;;
  *) echo "virsh $*: not played" >&2; exit 1 ;;
esac
EOT
chmod 755 "$dir/bin/virsh"
machines=('paused (I/O error)' 'paused (user)' 'paused (I/O error)' 'running (booted)' 'paused (migrating)'
  'paused (watchdog)' 'shut off (shutdown)')
expected=('running (unpaused)' 'paused (user)' 'running (unpaused)' 'running (booted)' 'paused (migrating)'
  'paused (watchdog)' 'shut off (shutdown)')
for i in "${!machines[@]}"; do
  echo "${machines[i]}" >"$dir/machines/a8bd7de6-0000-4000-8000-00000000000$i"
done
hook=$here/../../docs/examples/keyfence-resume-libvirt
for state in fenced grace; do
  MACHINES=$dir/machines PATH=$dir/bin:$PATH KEYFENCE_STATE=$state "$hook"
done
assert_eq "$(cat "$dir"/machines/*)" "$(printf '%s\n' "${machines[@]}")" "machines before the volume is active"
MACHINES=$dir/machines PATH=$dir/bin:$PATH KEYFENCE_STATE=active "$hook"
assert_eq "$(cat "$dir"/machines/*)" "$(printf '%s\n' "${expected[@]}")" "machines afterwards"
