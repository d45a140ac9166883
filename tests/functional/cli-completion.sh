#!/bin/bash
# Bash completion offers what the tables have, where they have it.
. "$(dirname "$0")/lib.sh"

# The function under test calls the word that was typed.
. "$here/../../tools/completion/keyfence"
list=$(keyfence help --list)

# complete_line WORD...: completes the last word, as readline takes words apart; sorted in $got.
complete_line ()
{
  local words=() word

  for word in "$@"; do
    while [[ $word == *[=:]* ]]; do
      local before=${word%%[=:]*}
      [ -z "$before" ] || words+=("$before")
      word=${word#"$before"}
      words+=("${word:0:1}")
      word=${word:1}
    done
    words+=("$word")
  done
  # Right behind a separator, the separator is the current word.
  if [ -z "${words[-1]}" ] && [ "${#words[@]}" -gt 1 ] && [[ ${words[-2]} == [=:] ]]; then
    unset 'words[-1]'
  fi
  COMP_WORDS=("$KEYFENCE" "${words[@]}")
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  COMPREPLY=()
  _keyfence
  got=$(printf '%s\n' "${COMPREPLY[@]}" | sort)
}

sorted ()
{
  printf '%s\n' "$@" | sort
}

expect ()
{
  assert_eq "$got" "$(sorted "$@")" "completion of ${COMP_WORDS[*]:1}"
}

commands=$(awk -F'\t' '$1 == "command" { print $2 }' <<<"$list")

# Commands.
complete_line ''
# shellcheck disable=SC2086  # words
expect $commands --help --version
complete_line header
expect header-backup header-restore
complete_line help cr
expect create

# Every command's options, all of them and only them.
for command in $commands; do
  complete_line "$command" --
  assert_eq "$got" "$(awk -F'\t' -v c="$command" '$1 == "option" && $2 == c { print $3 }' <<<"$list" | sort)" \
    "options of $command"
done
complete_line create disk --recov
expect --recovery-passphrase-file

# Values: choices, files, keys.
complete_line create --sector-size ''
expect 512 4096
complete_line create --sector-size=5
expect 512
cd "$dir"
mkdir sub
touch disk.img 'with space' sub/kek
complete_line inspect d
expect disk.img
complete_line inspect w
expect 'with space'
complete_line header-backup disk.img s
expect sub
complete_line create --recovery-passphrase-file d
expect disk.img
complete_line create --key ''
expect file:///
complete_line create --key "file://$dir/sub/k"
expect "//$dir/sub/kek"
complete_line create --size ''
expect ''

# No operand is offered where none is left, nor anything behind "--".
complete_line inspect disk.img d
expect ''
complete_line serve disk.img -- --
expect ''

# Parameters, any number of them; their values.
parameters=$(awk -F'\t' '$1 == "parameter" { print $2 "=" }' <<<"$list")
complete_line serve disk.img ''
# shellcheck disable=SC2086  # words
expect $parameters
complete_line serve disk.img cache=none disc
expect discard=
complete_line serve disk.img cache=
expect none writeback
complete_line serve disk.img cache=w
expect writeback
complete_line serve disk.img control=
got=$(grep -x -e none -e disk.img <<<"$got" | sort)
expect none disk.img

# Configurations, by name.
mkdir "$dir/conf"
touch "$dir/conf/wages.conf" "$dir/conf/wages.env"
export KEYFENCE_CONFDIR=$dir/conf
for command in serve status inspect destroy; do
  complete_line "$command" wag
  expect wages
done
complete_line serve --config=wag
expect wages
rm -r "$dir/conf"

# Volumes that are served, by uuid and label.
command -v python3 >/dev/null || skip "no python3 to play a server"
uuid=01234567-89ab-cdef-0123-456789abcdef
mkdir played
printf '{"volume": "%s", "label": "night wages", "path": "/srv/a\\ttab"}\n' "$uuid" >played/status.json
python3 "$here/control-double.py" "$KEYFENCE_RUNDIR/$uuid.sock" "$dir/played" >"$dir/double.log" 2>&1 &
double=$!
at_exit "kill $double; wait $double"
wait_for 20 test -S "$KEYFENCE_RUNDIR/$uuid.sock" || fail "the server does not play"
wait_for 20 grep -q . <(keyfence status --names)
assert_eq "$(keyfence status --names)" "$uuid"$'\t''night wages'$'\t''/srv/a?tab' "names of volumes"
complete_line status 0123
expect "$uuid"
complete_line check ni
expect 'night wages'
complete_line fence ''
expect disk.img double.log played run sub 'with space' 'night wages' "$uuid"
# One that gives no answer is not waited for.
echo 5 >played/status.wait
start=$SECONDS
assert_eq "$(keyfence status --names)" "$uuid"$'\t\t' "names of those that don't answer"
[ $((SECONDS - start)) -lt 4 ] || fail "completion waits for a server that hangs"
expect_fail 2 'names' keyfence status --names disk.img
