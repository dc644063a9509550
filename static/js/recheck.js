// Check now, without leaving the page: the check is drawn as it runs, then the page's parts are renewed (live.js).
import { setBusy } from "./busy.js";
import { readEvents } from "./events.js";
import { drawStep } from "./steps.js";
import { cloneTemplate } from "./templates.js";
import { toast } from "./toast.js";

const LINGER_MS = 1500;
const panel = document.querySelector("[data-recheck]");

// In the list there is room for a bar only.
function showBar(form) {
  const article = form.closest("article");
  const bar = article && cloneTemplate("[data-recheck-bar]");
  if (bar) article.append(bar);
  return bar;
}

function showLines() {
  if (!panel) return;
  for (const line of panel.querySelectorAll("[data-step]")) drawStep(panel, { name: line.dataset.step, state: "waiting", detail: "", duration_ms: null });
  panel.hidden = false;
}

function follow(step, done, bar) {
  if (["passed", "warned"].includes(step.state)) done.add(step.name);
  for (const progress of [bar, panel?.querySelector("progress")]) if (progress) progress.value = done.size;
  const words = panel && drawStep(panel, step);
  if (words) panel.querySelector("[data-recheck-words]").textContent = step.state === "running" ? `Now: ${words}.` : `${words}: ${step.state}.`;
}

async function send(form) {
  const done = new Set();
  const bar = showBar(form);
  let end = null;
  showLines();
  setBusy(form, true);
  try {
    const response = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "text/event-stream" } });
    if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
      location.assign(response.url);
      return;
    }
    await readEvents(response, (name, data) => {
      if (name === "step") follow(data, done, bar);
      else end = { name, data };
    });
  } catch {
    toast("The connection was lost; the check goes on");
  }
  if (end?.name === "refused") toast(end.data.cause);
  bar?.remove();
  setBusy(form, false);
  dispatchEvent(new CustomEvent("keydeck:changed", { detail: form.dataset.checkForm }));
  setTimeout(() => {
    if (panel) panel.hidden = true;
  }, LINGER_MS);
}

addEventListener("submit", (event) => {
  const form = event.target.closest?.("[data-check-form]");
  if (!form || event.defaultPrevented || "busy" in form.dataset) return;
  event.preventDefault();
  send(form);
});
