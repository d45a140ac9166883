# shellcheck shell=bash
# lib-guide.sh owns how the tests read a guide (docs/guides/): its blocks of commands, each with a name.
# Source it after lib.sh.
#
# A block that begins with ```sh tested=NAME is run by a test; one without a name would be a claim that
# nobody checks, and guide_all_tested fails.
# shellcheck disable=SC2154  # variables of lib.sh

# guide_of NAME: docs/guides/NAME.md.
guide_of ()
{
  guide=$here/../../docs/guides/$1.md
  [ -r "$guide" ] || fail "there is no guide $1"
}

# guide_block NAME: the text of a block.
guide_block ()
{
  local text

  text=$(awk -v start="\`\`\`sh tested=$1" '$0 == start { inside = 1; next } /^```/ { inside = 0 } inside' "$guide")
  [ -n "$text" ] || fail "the guide has no block $1"
  printf '%s\n' "$text"
}

# guide_xml: the blocks of XML, each to $dir/guide-N.xml.
guide_xml ()
{
  awk -v folder="$dir" '/^```xml$/ { inside = ++n; next } /^```/ { inside = 0 }
    inside { print >(folder "/guide-" n ".xml") }' "$guide"
}

# guide_all_tested NAME...: every block has a name, and these are all.
guide_all_tested ()
{
  local found

  found=$(sed -n 's/^```sh *//p' "$guide" | sed 's/^tested=//' | sort)
  assert_eq "$found" "$(printf '%s\n' "$@" | sort -u)" "the blocks of $guide that are tested"
}
