// Shows a secret being typed, for a moment: it is masked again when the form is sent, the page is left, or after 30 s.
const SHOWN_MS = 30_000;
const timers = new WeakMap();

function find(input) {
  return document.querySelector(`[data-reveal][aria-controls="${CSS.escape(input.id)}"]`);
}

function show(button, isShown) {
  const input = document.getElementById(button.getAttribute("aria-controls"));
  if (!input) return;
  clearTimeout(timers.get(input));
  input.type = isShown ? "text" : "password";
  button.setAttribute("aria-pressed", String(isShown));
  button.querySelector("[data-reveal-text]").textContent = isShown ? "Hide" : "Show";
  if (isShown) timers.set(input, setTimeout(() => show(button, false), SHOWN_MS));
}

function maskAll(root) {
  for (const button of root.querySelectorAll('[data-reveal][aria-pressed="true"]')) show(button, false);
}

export function watchReveal() {
  addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-reveal]");
    if (button) show(button, button.getAttribute("aria-pressed") !== "true");
  });
  // Before anything reads the form: browsers offer to remember what was typed into visible text fields.
  addEventListener("submit", (event) => maskAll(event.target), true);
  addEventListener("focusout", (event) => {
    const button = event.target.matches?.("input[id]") ? find(event.target) : null;
    if (button && event.relatedTarget !== button) show(button, false);
  });
  document.addEventListener("visibilitychange", () => document.hidden && maskAll(document));
  addEventListener("pagehide", () => maskAll(document));
}
