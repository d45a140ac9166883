// app.js keeps the page up to date: it fetches it anew and exchanges what has changed, so that
// nothing blinks and what has been folded out stays so.  Between that it lets times run.
"use strict";

const RENEW_MS = 5000, PATIENCE_MS = 9000;
const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
let loadedAt, serverAhead; // milliseconds; when what is shown came, and the server's clock less ours
let folds = new Map(); // what the visitor has folded out or in, by data-fold

// As duration_words () in moment.c.
function words(seconds) {
  seconds = Math.max(0, seconds);
  if (seconds < 9.95)
    return seconds < 0.9995 ? Math.round(seconds * 1000) + " ms" : Math.floor(seconds * 10) / 10 + " s";
  const whole = Math.floor(seconds), i = units.findIndex(([unit]) => whole >= unit);
  const [unit, name] = units[i], count = Math.floor(whole / unit), next = units[i + 1];
  const rest = next ? Math.floor(whole % unit / next[0]) : 0;
  return count + " " + name + (rest && count < 100 ? " " + rest + " " + next[1] : "");
}

function tick() {
  const now = (Date.now() + serverAhead) / 1000, passed = (Date.now() - loadedAt) / 1000;

  for (const e of document.querySelectorAll("time[data-at]")) {
    const ago = now - Number(e.dataset.at);
    // Whole seconds: tenths that jump help nobody.
    e.textContent = ago >= 0 ? words(ago < 1 ? 1 : Math.floor(ago)) + " ago" : "in " + words(Math.ceil(-ago));
  }
  for (const e of document.querySelectorAll("[data-left]"))
    e.textContent = words(Math.floor(Number(e.dataset.left) - passed));
}

function loaded() {
  const time = document.querySelector(".asof time");

  loadedAt = Date.now();
  serverAhead = Number(time.dataset.now) * 1000 - loadedAt;
  for (const e of document.querySelectorAll("details")) {
    if (folds.has(e.dataset.fold))
      e.open = folds.get(e.dataset.fold);
    e.querySelector("summary").addEventListener("click", () => folds.set(e.dataset.fold, !e.open));
  }
  tick();
}

function exchange(fresh) {
  const focused = document.activeElement?.closest("details")?.dataset.fold;

  for (const what of ["main", ".asof", "title", "link[rel=icon]"])
    document.querySelector(what).replaceWith(document.adoptNode(fresh.querySelector(what)));
  loaded();
  if (focused)
    for (const e of document.querySelectorAll("details"))
      if (e.dataset.fold === focused)
        e.querySelector("summary").focus({ preventScroll: true });
}

function say(text) {
  const stale = document.getElementById("stale");

  document.body.classList.toggle("stale", Boolean(text));
  stale.hidden = !text;
  if (stale.textContent !== text)
    stale.textContent = text;
}

// Whoever is copying something does not want it exchanged.
function selecting() {
  const selection = getSelection();

  return selection && !selection.isCollapsed;
}

function renew() {
  const request = new XMLHttpRequest();
  const failed = () => say("The exporter has not answered for " +
    words(Math.floor((Date.now() - loadedAt) / 1000)) + ": what is shown below is old.");

  request.open("GET", "/");
  request.responseType = "document";
  request.timeout = PATIENCE_MS;
  request.onload = () => {
    if (request.status !== 200 || !request.response?.querySelector(".asof time"))
      failed();
    else {
      say("");
      if (!selecting())
        exchange(request.response);
    }
  };
  request.onerror = request.ontimeout = failed;
  request.onloadend = () => setTimeout(renew, RENEW_MS);
  request.send();
}

loaded();
setInterval(tick, 1000);
setTimeout(renew, RENEW_MS);
