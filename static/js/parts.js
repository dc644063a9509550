// Renews parts of a page from the same page, fetched again: the browser parses it as a document, no HTML is built from text.
const waiting = new Map();

// Resolves with the page's document, or null when something else came back (signed out, an error page).
export function fetchPage(address) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", address);
    request.responseType = "document";
    request.timeout = 15_000;
    request.onload = () => resolve(request.status === 200 && new URL(request.responseURL).pathname === new URL(address, location.href).pathname ? request.responseXML : null);
    request.onerror = request.ontimeout = () => reject(new Error("no answer"));
    request.send();
  });
}

// Icons that the page did not use before.
function addSymbols(fetched) {
  const sprite = document.querySelector("svg.sprite");
  for (const symbol of fetched.querySelectorAll("svg.sprite symbol")) if (!document.getElementById(symbol.id)) sprite?.append(document.adoptNode(symbol));
}

// Focus, an open menu or selected text inside: then the part waits, so that nothing is taken from under a person's hands.
function isInUse(part) {
  const chosen = document.getSelection();
  return part.contains(document.activeElement) || part.querySelector("details[open]") || (chosen && !chosen.isCollapsed && chosen.containsNode(part, true));
}

function renew(key, fresh) {
  const old = document.querySelector(`[data-live="${CSS.escape(key)}"]`);
  if (!old || old.isEqualNode(fresh)) return;
  if (isInUse(old)) waiting.set(key, fresh);
  else {
    waiting.delete(key);
    old.replaceWith(fresh);
  }
}

export function renewParts(fetched) {
  addSymbols(fetched);
  for (const row of fetched.querySelectorAll("[data-live-row]")) {
    const old = document.querySelector(`[data-live-row="${CSS.escape(row.dataset.liveRow)}"]`);
    if (!old) continue;
    old.dataset.status = row.dataset.status;
    old.dataset.group = row.dataset.group;
  }
  for (const part of fetched.querySelectorAll("[data-live]")) renew(part.dataset.live, document.adoptNode(part));
}

export function watchWaitingParts() {
  const retry = () => setTimeout(() => waiting.forEach((fresh, key) => renew(key, fresh)));
  for (const name of ["focusout", "toggle", "pointerup"]) addEventListener(name, retry, true);
}
