// Copy buttons: <button data-copy="text">.
import { toast } from "./toast.js";

const MARKED_MS = 2000;

export function watchCopyButtons() {
  addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.dataset.copied = "";
      toast("Copied");
      setTimeout(() => delete button.dataset.copied, MARKED_MS);
    } catch {
      toast("Copying is blocked by the browser: select the text instead");
    }
  });
}
