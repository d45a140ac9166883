# shellcheck shell=bash
# lib-browser.sh owns what the tests of pages share: a browser, driven by browser.py.  Source it after lib.sh.
# shellcheck disable=SC2154  # variables of lib.sh
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) ||
  skip "no Chromium is installed"

browser_start ()
{
  coproc BROWSER { exec python3 "$here/browser.py" "$chromium" "$dir/profile" 2>"$dir/browser.log"; }
  # shellcheck disable=SC2153  # set by coproc
  at_exit "kill $BROWSER_PID 2>/dev/null; wait $BROWSER_PID"
}

# browser COMMAND...: its answer, JSON, in $answer.
browser ()
{
  printf '%s\n' "$*" >&"${BROWSER[1]}"
  read -r -t $((60 * patience)) answer <&"${BROWSER[0]}" || fail "the browser does not answer: $*"
}

# expect EXPRESSION VALUE: what the expression is in the page, as JSON.
expect ()
{
  browser eval "$1"
  assert_eq "$answer" "$2" "$1"
}

# no_faults PAGE
no_faults ()
{
  browser faults
  assert_eq "$answer" '[]' "faults of the page $1"
}
