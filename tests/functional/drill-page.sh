#!/bin/bash
# The report's page in a browser: whole without anything from elsewhere, with what happened in words, figures
# and a picture; what others wrote is text; the JSON inside is the one that was printed, and has the hash that
# is shown.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kms.sh"
. "$(dirname "$0")/lib-fence.sh"
. "$(dirname "$0")/lib-drill.sh"
require jq nc python3
. "$(dirname "$0")/lib-browser.sh"
hostile='<script>document.title="x"</script>&quot;<img src=x onerror=alert(1)>'
aws_start
export KEYFENCE_KMS_SIM_DIR=$sim_dir PATH=${sim%/*}:$PATH
aws_key
make_volume "$dir/disk" 16M --label wages
start_server "$dir/disk" "${fast[@]}"
nbd_io "write 0 16M 0x41" flush

browser_start

# shows TEXT
shows ()
{
  expect "document.body.innerText.includes($(jq -n --arg t "$1" '$t'))" true
}

# open_page NAME: and what holds of all of them.
open_page ()
{
  browser open "file://$dir/$1.html"
  no_faults "$1"
  expect "document.querySelectorAll('script, img, iframe, object, embed, form, base, link').length" 0
  expect "document.querySelectorAll('[src], [href]').length" 0
  expect "[...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).filter(a => /^on/.test(a.name)).length" 0
  expect "document.querySelector('#sha256').textContent" "\"$(sha256sum <"$dir/report.json" | cut -d' ' -f1)\""
  expect "(async () => [...new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(document.querySelector('#json').textContent)))].map(b => b.toString(16).padStart(2, '0')).join('') === document.querySelector('#sha256').textContent)()" true
  for width in 1200 390; do
    browser size $width 900
    expect "document.documentElement.scrollWidth <= innerWidth" true
    browser picture "$dir/$1-$width.png"
    [ "$(stat -c %s "$dir/$1-$width.png")" -gt 20000 ] || fail "an empty picture of $1"
    [ -z "${KEYFENCE_PICTURES:-}" ] || cp "$dir/$1-$width.png" "$KEYFENCE_PICTURES/"
  done
}

# ---- a drill that passed --------------------------------------------------------------------------------

drill 0 --preset sim --max-fence $((20 * patience))s --max-recover $((20 * patience))s --scratch 8M:64k \
  --hold 3s --report "$dir/passed.html"
open_page passed
expect "document.title" '"Revocation drill: wages, passed"'
expect "document.querySelector('.verdict').innerText" '"passed"'
expect "document.querySelectorAll('#checks .passed-mark').length === document.querySelectorAll('#checks tr').length" true
shows "$(jq -r '.figures.denial_to_last_served_ms / 1000 | tostring | .[:5]' <<<"$report")"
shows "$key"
shows "$(jq -r '[.key_operations[] | select (.class == "denied")][0].request_id' <<<"$report")"
shows "keyfence-kms-sim ctl disable '$key'"
# The picture: what was served and refused, both states, every check and both commands, where they belong.
expect "document.querySelectorAll('section svg .s-fenced').length >= 1" true
expect "document.querySelectorAll('section svg circle.served').length" "$(jq '[.key_operations[] | select (.class == "ok")] | length' <<<"$report")"
expect "document.querySelectorAll('section svg .command').length" 3 # one in the legend
expect "document.querySelectorAll('section svg line.mark').length" 5
expect "(() => { const x = s => [...document.querySelectorAll('svg[role=img] rect' + s)].map(r => r.x.baseVal.value); return Math.max(...x('.refused')) < Math.max(...x('.served')) && Math.min(...x('.refused')) > Math.min(...x('.served')); })()" true
served_again

# ---- one that failed, with hostile words in it ----------------------------------------------------------

drill 3 --revoke "echo '$hostile'; keyfence-kms-sim ctl disable '$key'" --restore "echo '$hostile'; exit 7" \
  --give-up 1s --report "$dir/failed.html"
open_page failed
expect "document.querySelector('.verdict').innerText" '"fenced"'
shows 'The volume may still be without its key'
shows "$hostile"
expect "document.querySelectorAll('#checks .failed-mark').length >= 3" true
ctl enable "$key" >/dev/null
served_again
# What came after the restore had begun is no recovery.
assert_json "$report" '.figures | .restore_to_first_served_ms == null and .last_wipe_us != null'

# A report that can't be written, though its folder can: told, and the drill is done.
mkdir "$dir/folder.html"
drill 1 --preset sim --report "$dir/folder.html"
grep -q -- '--report .*folder.html' "$dir/stderr" || fail "it is not said that there is no report"
served_again
stop_server
