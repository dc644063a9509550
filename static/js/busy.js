// A form that was sent says so and is not sent twice. The button stays in the tab order and keeps its words.
export function setBusy(form, isBusy) {
  for (const button of form.querySelectorAll("button:not([type=button])")) {
    if (isBusy) {
      button.setAttribute("aria-busy", "true");
      button.setAttribute("aria-disabled", "true");
    } else {
      button.removeAttribute("aria-busy");
      button.removeAttribute("aria-disabled");
    }
  }
  if (isBusy) form.dataset.busy = "";
  else delete form.dataset.busy;
}

export function watchBusyForms() {
  addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if ("busy" in form.dataset) {
      event.preventDefault();
      return;
    }
    if (event.defaultPrevented) return;
    // After this event, so that the pressed button's name and value are still sent.
    setTimeout(() => setBusy(form, true));
  });
  // Coming back by the browser's history shows the page as it was left.
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const form of document.querySelectorAll("form[data-busy]")) setBusy(form, false);
  });
}
