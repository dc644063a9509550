// Keeps a page fresh: the server says what changed, the page fetches those parts again. Says so when it cannot.
import { fetchPage, renewParts, watchWaitingParts } from "./parts.js";
import { cloneTemplate } from "./templates.js";

const GRACE_MS = 4000; // a restarting server is back before anyone is told
const SILENCE_MS = 25_000; // two beats and a half
const GATHER_MS = 150;
const RETRY_MS = [2000, 5000, 15_000, 30_000, 60_000];
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });

const page = document.querySelector("[data-live-page]");
let source = null;
let last = page?.dataset.after;
let known = new Date(Number(last));
let failures = 0;
let isRenewing = false;
const timers = {};
const notices = {};
const changed = new Set();
const told = new Map();

function after(name, wait, act) {
  clearTimeout(timers[name]);
  timers[name] = setTimeout(act, wait);
}

function showNotice(name) {
  if (notices[name]) return;
  const notice = cloneTemplate(`[data-live-${name}]`);
  const time = notice.querySelector("[data-known]");
  if (time) {
    const hour = known.toISOString().slice(11, 16);
    time.dateTime = known.toISOString();
    time.title = `${DAY.format(known)}, ${known.toISOString().slice(11, 19)} UTC`;
    time.textContent = known.toDateString() === new Date().toDateString() ? hour : `${DAY.format(known)}, ${hour}`;
  }
  document.querySelector("[data-toasts]").append(notice);
  notices[name] = notice;
}

function hideNotice(name) {
  notices[name]?.remove();
  delete notices[name];
}

function hear(event) {
  if (event.lastEventId) last = event.lastEventId;
  known = new Date(Number(last));
  failures = 0;
  endGrace();
  hideNotice("lost");
  after("silence", SILENCE_MS, lose);
}

function endGrace() {
  clearTimeout(timers.grace);
  timers.grace = null;
}

// The stream is gone: the browser tries again by itself, or, where the server refused, we do.
function lose() {
  if (document.hidden) return;
  if (!notices.lost && !timers.grace) timers.grace = setTimeout(() => showNotice("lost"), GRACE_MS);
  if (source?.readyState === EventSource.CONNECTING) return;
  close();
  after("retry", RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)], open);
}

function close() {
  source?.close();
  source = null;
  clearTimeout(timers.silence);
  clearTimeout(timers.retry);
}

function open() {
  if (source || document.hidden || notices.ended) return;
  source = new EventSource(`/live?after=${last}`);
  source.addEventListener("error", lose);
  source.addEventListener("beat", (event) => {
    hear(event);
    if ("beats" in page.dataset || changed.size) renewSoon();
  });
  source.addEventListener("change", (event) => {
    hear(event);
    note(JSON.parse(event.data));
  });
  source.addEventListener("reset", (event) => {
    hear(event);
    for (const row of document.querySelectorAll("[data-live-row]")) changed.add(row.dataset.liveRow);
    if (page.dataset.about) changed.add(page.dataset.about);
    renewSoon();
  });
  source.addEventListener("ended", () => {
    close();
    endGrace();
    hideNotice("lost");
    goOnOrEnd();
  });
}

// A fresh proof in another window gives the session another token: then only this stream is over, and a new one goes on.
async function goOnOrEnd() {
  try {
    if (!(await fetchPage(page.dataset.about || "beats" in page.dataset ? page.dataset.parts : `${page.dataset.parts}?id=`))) showNotice("ended");
  } catch {
    // no answer at all: the new stream says so
  }
  open();
}

function note(change) {
  if (change.kind === "gone") markGone(change.credential);
  else if (!change.credential || !page.dataset.about || page.dataset.about === change.credential) changed.add(change.credential ?? "");
  renewSoon();
}

function renewSoon() {
  after("renew", GATHER_MS, renew);
}

async function renew() {
  if (isRenewing || (!changed.size && !("beats" in page.dataset))) return;
  isRenewing = true;
  const ids = [...changed].slice(0, 100);
  for (const id of ids) changed.delete(id);
  try {
    const fetched = await fetchPage(page.dataset.about || "beats" in page.dataset ? page.dataset.parts : `${page.dataset.parts}?${new URLSearchParams(ids.map((id) => ["id", id]))}`);
    if (fetched) show(fetched);
  } catch {
    for (const id of ids) changed.add(id); // the next beat tries again
  } finally {
    isRenewing = false;
  }
  if (changed.size && source?.readyState === EventSource.OPEN) after("renew", RETRY_MS[0], renew);
}

// What a person should hear: a status that became another one. Ages and checks that merely run are not read out.
function show(fetched) {
  const isNew = (row) => !document.querySelector(`[data-live-row="${CSS.escape(row.dataset.liveRow)}"]`);
  if ([...fetched.querySelectorAll("[data-live-row]")].some(isNew)) showNotice("more");
  renewParts(fetched);
  const words = [];
  for (const row of document.querySelectorAll("[data-live-row]")) {
    if (row.dataset.status === "checking" || told.get(row) === row.dataset.status) continue;
    told.set(row, row.dataset.status);
    words.push(`${row.dataset.name}: ${row.querySelector(".status-pill")?.textContent.trim()}`);
  }
  if (words.length) document.querySelector("[data-live-words]").textContent = words.join(". ");
}

function markGone(id) {
  const row = document.querySelector(`[data-live-row="${CSS.escape(id)}"]`);
  const pill = cloneTemplate("[data-live-gone]");
  row?.querySelector(".status-pill")?.replaceWith(pill);
  for (const control of row?.querySelectorAll("form, details, [data-live-actions]") ?? []) control.hidden = true;
  if (page.dataset.about === id) for (const part of document.querySelectorAll(`main form[action^="/credentials/${CSS.escape(id)}"], .page-header__actions`)) part.hidden = true;
}

if (page) {
  for (const row of document.querySelectorAll("[data-live-row]")) told.set(row, row.dataset.status);
  watchWaitingParts();
  addEventListener("keydeck:changed", (event) => note({ credential: event.detail, kind: "checked" }));
  open();
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());
}
