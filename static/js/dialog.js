// Modal dialogs on <dialog>: opened by data-dialog-open="<id>", closed by data-dialog-close, Escape or their backdrop.
const openers = new WeakMap();

function isFilled(dialog) {
  return [...dialog.querySelectorAll("input, textarea")].some((field) => !["hidden", "checkbox", "radio"].includes(field.type) && field.value !== field.defaultValue);
}

export function watchDialogs() {
  addEventListener("click", (event) => {
    const opener = event.target.closest?.("[data-dialog-open]");
    if (opener) {
      const dialog = document.getElementById(opener.dataset.dialogOpen);
      if (!(dialog instanceof HTMLDialogElement)) return;
      event.preventDefault();
      openers.set(dialog, opener);
      dialog.showModal();
      dialog.querySelector("[tabindex='-1']")?.focus();
      return;
    }
    const closer = event.target.closest?.("dialog [data-dialog-close]");
    if (closer) {
      event.preventDefault();
      closer.closest("dialog").close();
      return;
    }
    // A click on the backdrop lands on the dialog itself; a half-filled form is not thrown away by it.
    if (event.target instanceof HTMLDialogElement && event.target.open && !isFilled(event.target)) event.target.close();
  });
  addEventListener("close", (event) => openers.get(event.target)?.focus(), true);
}
