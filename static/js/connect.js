// The connect and replace form: sends itself, draws the check as it runs, and keeps every field filled for another try.
import { askForProof } from "./confirm.js";
import { readEvents } from "./events.js";
import { drawStep as drawLine } from "./steps.js";
import { cloneTemplate } from "./templates.js";
import { toast } from "./toast.js";

const root = document.querySelector("[data-connect]");
const form = root?.querySelector("[data-connect-form]");
const find = (name) => root.querySelector(`[data-${name}]`);
let running = null;

function setPhase(phase) {
  root.dataset.phase = phase;
  const isChecking = phase === "checking";
  find("checking").hidden = !isChecking;
  find("refusal").hidden = phase !== "refused";
  find("check-lines").hidden = phase === "form";
  for (const name of ["form-note", "form-actions"]) find(name).hidden = isChecking;
  for (const name of ["checking-note", "checking-actions"]) find(name).hidden = !isChecking;
  showStep(phase);
}

// The stepper on top: API key, Check, and a failed Check.
function showStep(phase) {
  const current = phase === "form" ? 1 : 2;
  root.querySelectorAll(".stepper li").forEach((item, index) => {
    delete item.dataset.state;
    item.removeAttribute("aria-current");
    if (index < current) item.dataset.state = "passed";
    if (index !== current) return;
    item.setAttribute("aria-current", "step");
    if (phase === "refused") item.dataset.state = "failed";
  });
}

function drawStep(step) {
  const words = drawLine(find("check-lines"), step);
  if (words) countSteps(words, step.state);
}

function countSteps(words, state) {
  const lines = [...root.querySelectorAll("[data-check-lines] [data-step]")];
  const done = lines.filter((line) => ["passed", "warned"].includes(line.dataset.state)).length;
  const bar = find("checking").querySelector("progress");
  bar.value = done;
  find("progress-words").textContent = state === "running" ? `${done} of ${lines.length} done. Now: ${words}.` : `${words}: ${state}.`;
}

function clearErrors() {
  for (const error of form.querySelectorAll(".field__error")) error.remove();
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
}

function markField(name, text) {
  const field = name ? form.elements[name] : null;
  const place = field instanceof Element ? field.closest(".field") : null;
  const error = cloneTemplate("[data-error-template]", { text });
  if (!place || !error) return;
  error.id = `${field.id}-error`;
  field.setAttribute("aria-invalid", "true");
  const hint = document.getElementById(`${field.id}-hint`);
  field.setAttribute("aria-describedby", hint ? `${error.id} ${hint.id}` : error.id);
  place.append(error);
}

/** Show the way to the exchange's own page, where the next step is taken there. */
function drawKeyPage(link) {
  const place = find("key-page");
  place.hidden = !link;
  if (link) place.querySelector("a").href = link;
}

function drawAddresses(addresses) {
  const place = find("addresses");
  place.replaceChildren();
  for (const address of addresses) {
    const button = cloneTemplate("[data-address-template]", { address });
    button.dataset.copy = address;
    button.setAttribute("aria-label", `Copy address ${address}`);
    place.append(button);
  }
  place.hidden = !addresses.length;
}

function refuse(problem) {
  for (const step of problem.steps ?? []) drawStep(step);
  for (const line of root.querySelectorAll('[data-check-lines] :is([data-state="running"], [data-state="waiting"])')) {
    drawStep({ name: line.dataset.step, state: "skipped", detail: "Not asked", duration_ms: null });
  }
  find("cause").textContent = problem.cause;
  find("remedy").textContent = problem.remedy;
  const who = find("who");
  who.textContent = who.dataset[problem.who_acts] ?? who.dataset.operator;
  find("refusal-icon").dataset.tone = problem.tone;
  drawAddresses(problem.copy ?? []);
  drawKeyPage(problem.link);
  find("verdict").textContent = problem.verdict ?? "";
  find("verdict").hidden = !problem.verdict;
  const existing = find("existing");
  existing.hidden = !problem.existing;
  if (problem.existing) existing.querySelector("a").href = problem.existing;
  markField(problem.field, problem.cause);
  find("guide").open = false;
  find("boxes").hidden = !["withdraw_enabled", "permission_missing"].includes(problem.code);
  find("form-note").querySelector("span").textContent = "Nothing was stored. What you typed is still here, in this page only.";
  find("submit").textContent = "Check again";
  setPhase("refused");
  find("cause").focus();
}

function explainAnswer(response) {
  const isSignedOut = response.redirected && new URL(response.url).pathname === "/sign-in";
  return {
    code: "internal",
    tone: "warn",
    who_acts: isSignedOut ? "trader" : "operator",
    cause: isSignedOut ? "Your session has ended." : "This server did not answer as expected.",
    remedy: isSignedOut ? "Sign in in another tab, then check again: what you typed is still here." : "Try again; if it stays, tell the operator.",
  };
}

const LOST = {
  code: "internal",
  tone: "warn",
  who_acts: "operator",
  cause: "The connection to this server was lost.",
  remedy: "Look under Credentials whether the key is there; if not, check again.",
};

// The last proof grew old while the key was made at the exchange: asked for on top of the page, then sent again.
async function confirmThenSend() {
  setPhase("form");
  if (await askForProof()) return send();
  find("submit").focus();
}

async function isProofNeeded(response) {
  if (!response.headers.get("content-type")?.startsWith("application/problem+json")) return false;
  return (await response.json()).code === "proof_needed";
}

async function send() {
  const stop = new AbortController();
  running = stop;
  clearErrors();
  for (const line of root.querySelectorAll("[data-check-lines] [data-step]")) drawStep({ name: line.dataset.step, state: "waiting", detail: "", duration_ms: null });
  setPhase("checking");
  find("checking-title").focus();
  let end = null;
  try {
    const response = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "text/event-stream" }, signal: stop.signal });
    if (await isProofNeeded(response)) {
      confirmThenSend();
      return;
    }
    if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
      refuse(explainAnswer(response));
      return;
    }
    await readEvents(response, (name, data) => {
      if (name === "step") drawStep(data);
      else end = { name, data };
    });
    if (end?.name === "done") {
      form.reset();
      location.assign(end.data.location);
    } else refuse(end ? end.data : LOST);
  } catch {
    if (stop.signal.aborted) setPhase("form");
    else refuse(LOST);
  } finally {
    running = null;
  }
}

function watchForm() {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!running) send();
  });
  find("stop").addEventListener("click", () => {
    running?.abort();
    find("submit").focus();
    toast("Stopped: nothing was stored");
  });
}

// Sandbox keys: one click puts both parts, the plan and the environment in place.
function watchFilling() {
  root.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-fill]");
    if (!button) return;
    for (const [name, value] of Object.entries(JSON.parse(button.dataset.fill))) {
      form.elements[name].value = value;
    }
    for (const [name, value] of [["environment", "sandbox"], ["plan", button.dataset.fillPlan]]) {
      const choice = form.querySelector(`input[name="${name}"][value="${CSS.escape(value)}"]`);
      if (choice) choice.checked = true;
    }
    find("submit").focus();
    toast("Filled in");
  });
}

if (form) {
  watchForm();
  watchFilling();
}
