#!/bin/bash
# The command line itself: help for everything, mistakes named, the man page equal to the tables.
. "$(dirname "$0")/lib.sh"

man_page=$here/../../docs/keyfence.pod
commands=$(keyfence help --list | awk -F'\t' '$1 == "command" { print $2 }')

# Every command has help on stdout, which names each of its options.
keyfence --help >"$dir/all"
for command in $commands; do
  grep -q "^  $command " "$dir/all" || fail "keyfence --help lacks $command"
  keyfence "$command" --help >"$dir/help" 2>"$dir/stderr"
  [ ! -s "$dir/stderr" ] || fail "keyfence $command --help wrote to stderr"
  head -n 1 "$dir/help" | grep "^Usage: keyfence $command" >/dev/null || fail "usage line of $command"
  keyfence help --list | awk -F'\t' -v c="$command" '$1 == "option" && $2 == c { print $3 }' |
    while read -r option; do
      grep -qE -- "^  $option( |\$)" "$dir/help" || fail "keyfence $command --help lacks $option"
    done
  assert_same "$dir/help" <(keyfence help "$command")
  ! grep -qE '^.{81}' "$dir/help" || fail "keyfence $command --help is wider than 80 columns"
done
[ "$(wc -l <<<"$commands")" -ge 10 ] || fail "keyfence help --list lists too few commands"

# The man page has exactly the commands, usage lines and options of the tables.
for command in $commands; do
  keyfence "$command" --help | sed -n '1s/^Usage: //p'
  keyfence help --list | awk -F'\t' -v c="$command" \
    '$1 == "option" && $2 == c && $3 != "--help" { print $4 == "-" ? $3 : $3 " " $4 }'
done >"$dir/tables"
sed -n '/^=head1 COMMANDS/,/^=head1 EXIT/ {
  s/^=head2 \(keyfence .*\)/\1/p
  s/^=item B<\(--[a-z-]*\)>/\1/p
}' "$man_page" >"$dir/manual"
diff -u "$dir/tables" "$dir/manual" || fail "docs/keyfence.pod differs from the tables"

# Version.
assert_match "$(keyfence --version)" '^keyfence [0-9]+\.[0-9]+' version

# What is wrong with a command line is said, on stderr only, and the exit code is 2.
expect_fail 2 '^Usage: keyfence COMMAND' keyfence
expect_fail 2 'there is no command "creat"; keyfence help lists them' keyfence creat
expect_fail 2 'there is no command "x"' keyfence help x
expect_fail 2 '^keyfence: inspect: PATH is missing; see keyfence inspect --help' keyfence inspect
expect_fail 2 '^keyfence: inspect: "b" is one argument too many' keyfence inspect a b
expect_fail 2 '^keyfence: create: there is no option --siez; see keyfence create --help' \
  keyfence create a --siez 1G
expect_fail 2 '^keyfence: create: there is no option -s;' keyfence create a -s 1G
expect_fail 2 '^keyfence: create: --size needs a value: --size SIZE' keyfence create a --size
expect_fail 2 '^keyfence: create: --size needs a value' keyfence create a --size=
expect_fail 2 '^keyfence: create: --size is given twice' keyfence create a --size 1G --size=2G
expect_fail 2 '^keyfence: create: --force takes no value' keyfence create a --force=yes
expect_fail 2 '^keyfence: create: --key KEY is missing' keyfence create a --size 1G
expect_fail 2 '^keyfence: create: --sector-size 1024: expected one of: 512 4096' \
  keyfence create a --key k --size 1G --sector-size 1024

# Behind "--" everything is an operand.
expect_fail 1 '^keyfence: inspect: --json does not exist' keyfence inspect -- --json

# A stdout that can't be written is an error.
if [ -c /dev/full ]; then
  status=0
  keyfence --help >/dev/full 2>"$dir/output" || status=$?
  assert_eq "$status" 1 "exit status with a full disk"
fi
