// Changes the theme in place; the cookie is set by the same request the form would have made.
export function watchTheme() {
  addEventListener("submit", async (event) => {
    const form = event.target.closest?.("[data-theme-form]");
    const chosen = event.submitter?.value;
    if (!form || !chosen) return;
    event.preventDefault();
    const body = new URLSearchParams({ theme: chosen, back: "/" });
    if (chosen === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    for (const button of document.querySelectorAll("[data-theme-form] button")) button.setAttribute("aria-pressed", String(button.value === chosen));
    try {
      await fetch(form.action, { method: "POST", body, redirect: "manual" });
    } catch {
      form.submit();
    }
  }, true);
}
