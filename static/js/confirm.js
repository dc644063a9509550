// Asks for a fresh proof in place, so that a page keeps all that was typed into it: answers true once it was given.
import "./passkey.js";

const dialog = document.querySelector("[data-proof]");

function show(words) {
  const place = dialog.querySelector("[data-proof-error]");
  place.querySelector("[data-proof-words]").textContent = words;
  place.hidden = !words;
}

async function send(form) {
  const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "application/problem+json, application/json" } });
  const told = await answer.json();
  if (answer.ok) return true;
  show(told.code === "sign_in_needed" ? "Your session has ended. Sign in in another tab, then try again." : told.detail || told.title);
  return false;
}

async function take(form) {
  show("");
  try {
    if (await send(form)) dialog.close("confirmed");
  } catch {
    show("The connection to this server was lost. Try again.");
  } finally {
    for (const field of dialog.querySelectorAll("input:not([readonly])")) field.value = "";
  }
}

dialog?.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-proof-form]")) return;
  event.preventDefault();
  take(event.target);
});
dialog?.addEventListener("keydeck:answered", (event) => {
  event.preventDefault();
  take(event.target);
});

export function askForProof() {
  if (!dialog) return Promise.resolve(false);
  show("");
  dialog.returnValue = "";
  dialog.showModal();
  dialog.querySelector("h2").focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "confirmed"), { once: true });
  });
}
