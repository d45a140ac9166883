#!/bin/bash
# The exporter's page in a browser: every volume in its state, hostile names as text, light and dark, wide
# and narrow, with and without JavaScript, kept up to date, and honest when it can't be.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-exporter.sh"
require nc python3 xxd jq
. "$(dirname "$0")/lib-browser.sh"

folder=$dir/sockets
start_volumes "$folder" active grace fenced latched hostile empty types old dead
start_exporter --control-dir "$folder"

browser_start

# article VOLUME: the selector of its card.
article ()
{
  printf 'article[data-volume="%s"]' "$(socket_of "$folder" "$1")"
}

# shows VOLUME TEXT: the card has the text, where it can be seen.
shows ()
{
  expect "document.querySelector('$(article "$1")').innerText.includes($(jq -n --arg t "$2" '$t'))" true
}

# ---- what is shown --------------------------------------------------------------------------------------

browser size 1280 900
browser scheme light
browser open "$exporter_url"
expect "document.querySelectorAll('article').length" 9
# The worst first, each with its state as a word, and as a colour and a shape.
expect "[...document.querySelectorAll('.badge')].map(b => b.innerText.trim()).join()" \
  '"fenced,fenced,no answer,grace,grace,unknown,unknown,active,active"'
expect "[...document.querySelectorAll('.counts li')].map(l => l.innerText.replace(/\\s+/g, ' ').trim()).join()" \
  '"2 fenced,1 no answer,2 grace,2 unknown,2 active"'
expect "new Set([...document.querySelectorAll('article')].map(a => getComputedStyle(a).borderLeftColor)).size" 5
expect "new Set([...document.querySelectorAll('.badge use')].map(u => u.getAttribute('href'))).size" 5
expect "[...document.querySelectorAll('.badge svg')].every(s => s.getBoundingClientRect().width > 5)" true
# Key, reason, lease, bound, checks, I/O.
shows fenced key_disabled
shows fenced 'Enable it again and the volume comes back by itself.'
shows fenced 5c0fbb0e-2f0b-4f6e-9a1f-2b7e8d9c0a11
shows fenced arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab
shows fenced 45.8
shows fenced '31 denied'
shows fenced 1,873
shows fenced 'wiped in 412 µs'
shows grace 'key expires soon'
shows grace 'left of 1 h'
shows grace '88 outage, 4 credentials'
shows latched 'latched: operator'
shows latched 'memory not locked'
shows latched 'read-only'
shows dead 'nobody listens at its control socket'
shows old '/var/lib/volumes/older.kf'
# The time line: two fences, as wide as they were long and higher than the rest.
line="[...document.querySelectorAll('$(article fenced) .timeline rect')]"
expect "$line.filter(r => r.matches('.s-fenced')).length" 2
expect "$line.filter(r => r.matches('.s-fenced')).every(r => r.getBoundingClientRect().height > 30)" true
expect "$line.filter(r => r.matches('.s-active')).every(r => r.getBoundingClientRect().height < 20)" true
expect "Math.round($line.find(r => r.matches('.s-fenced')).width.baseVal.value)" 83 # 300 s of an hour
expect "$line.find(r => r.matches('.s-fenced')).textContent.startsWith('fenced, access_denied: 20')" true
expect "document.querySelectorAll('$(article fenced) details[open] .events li').length" 4
expect "document.querySelector('link[rel=icon]').getAttribute('href')" '"/icon-fenced.svg"'
expect "document.title.startsWith('2 fenced, 1 no answer, ')" true
no_faults 'first look'

# ---- hostile volumes ------------------------------------------------------------------------------------

expect "document.querySelectorAll('script').length" 1
expect "document.querySelectorAll('img, iframe, object, embed, form, base, style').length" 0
expect "[...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).filter(a => /^on|^style\$/.test(a.name)).length" 0
expect "[...document.querySelectorAll('[src], [href]')].every(e => /^[\\/#][^\\/]/.test(e.getAttribute('src') || e.getAttribute('href')) || e.getAttribute('href') === '/metrics')" true
expect "document.querySelector('$(article hostile) h2').textContent.startsWith('<script>document.title=')" true
# The policy would stop what escaping had let through: strings that become elements or handlers, styles,
# pictures from elsewhere.
expect "(() => { try { document.body.insertAdjacentHTML('beforeend', '<b>x</b>'); return 'done'; } catch (e) { return 'refused'; } })()" \
  '"refused"'
expect "(() => { try { document.body.setAttribute('onclick', 'x()'); return 'done'; } catch (e) { return 'refused'; } })()" \
  '"refused"'
expect "(() => { const m = document.querySelector('main'); m.setAttribute('style', 'color: red'); const c = getComputedStyle(m).color; m.removeAttribute('style'); return c; })()" \
  '"rgb(22, 27, 38)"'
browser eval "new Promise(done => { const i = new Image(); i.onerror = i.onload = () => done(0); i.src = 'http://127.0.0.1:1/x.png'; })"
browser faults
assert_match "$answer" "Content Security Policy.*img-src" "the policy's complaint"

# ---- light and dark, wide and narrow --------------------------------------------------------------------

# contrast: the least contrast of any text with what is behind it (WCAG 2.1: 4.5 is enough).
contrast="(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (...colours) => { canvas.clearRect(0, 0, 1, 1);
    for (const c of colours) { canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); }
    return canvas.getImageData(0, 0, 1, 1).data; };
  const light = c => { const [r, g, b] = [...c].map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let least = 99, where = '';
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement, behind = [];
    if (!walker.currentNode.data.trim() || !e.checkVisibility() || e.closest('svg')) continue;
    for (let p = e; p; p = p.parentElement) behind.unshift(getComputedStyle(p).backgroundColor);
    const a = light(rgba(...behind)), b = light(rgba(...behind, getComputedStyle(e).color));
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < least) [least, where] = [contrast, e.outerHTML.slice(0, 80)];
  }
  return least >= 4.5 ? 'enough' : least.toFixed(2) + ' ' + where;
})()"
contrast=${contrast//$'\n'/ }
expect "$contrast" '"enough"'
expect "getComputedStyle(document.body).backgroundColor" '"rgb(246, 247, 249)"'
browser picture "$dir/wide-light.png"
browser scheme dark
expect "$contrast" '"enough"'
expect "getComputedStyle(document.body).backgroundColor" '"rgb(14, 17, 23)"'
browser picture "$dir/wide-dark.png"
for width in 390 320; do
  browser size $width 844
  expect "document.documentElement.scrollWidth <= innerWidth" true
done
browser size 390 844
browser picture "$dir/narrow-dark.png"
browser scheme light
browser picture "$dir/narrow-light.png"
for picture in wide-light wide-dark narrow-dark narrow-light; do
  [ "$(stat -c %s "$dir/$picture.png")" -gt 20000 ] || fail "an empty picture: $picture"
  [ -z "${KEYFENCE_PICTURES:-}" ] || cp "$dir/$picture.png" "$KEYFENCE_PICTURES/"
done
browser size 1280 900

# ---- kept up to date ------------------------------------------------------------------------------------

# A lease runs down by itself, and what has been folded out stays so when the page is renewed.
browser eval "document.querySelector('$(article active) details:nth-of-type(2) summary').click()"
browser eval "window.mark = document.querySelector('.asof time').dataset.now"
browser wait "document.querySelector('$(article grace) [data-left]').textContent < '13 min 29 s'"
assert_eq "$answer" true "the lease runs down"
sed -i 's/"state": "active"/"state": "fenced"/; s/"reason": "ok"/"reason": "key_deleted"/' \
  "$folder/$(socket_of "$folder" active).answer"
browser wait "document.querySelector('$(article active)').matches('.s-fenced')"
assert_eq "$answer" true "a new state is shown"
expect "document.querySelector('.asof time').dataset.now > window.mark" true
expect "document.title.startsWith('3 fenced')" true
expect "document.querySelector('$(article active) details:nth-of-type(2)').open" true
expect "document.querySelector('$(article active) details:nth-of-type(3)').open" false
expect "document.querySelector('#stale').hidden" true
no_faults 'renewed'

# When the exporter is gone, the page says that it is old.
kill -KILL "$exporter_pid"
browser wait "!document.querySelector('#stale').hidden"
assert_eq "$answer" true "old is said to be old"
expect "/^The exporter has not answered for [0-9]+ s: what is shown below is old/.test(document.querySelector('#stale').textContent)" true
browser faults # a refused connection is one

# ---- without JavaScript ---------------------------------------------------------------------------------

start_exporter --control-dir "$folder"
browser scripts off
browser open "$exporter_url"
expect "document.querySelectorAll('article').length" 9
expect "document.querySelector('noscript meta[http-equiv=refresh]').content" '"10"'
shows fenced key_disabled
expect "document.querySelector('$(article grace) [data-left]').textContent" '"13 min 30 s"'
no_faults 'without JavaScript'
