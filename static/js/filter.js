// Filters a list while typing; the form still works as a GET without this. "/" goes to the search field.
function watchForm(form) {
  const list = document.getElementById(form.dataset.filterForm);
  if (!list) return;
  const items = [...list.querySelectorAll("[data-filter-item]")];
  const count = form.querySelector("[data-filter-count]");
  const none = list.querySelector("[data-filter-none]") ?? document.querySelector("[data-filter-none]");
  const apply = () => {
    const query = (form.elements.q?.value ?? "").trim().toLowerCase();
    const status = form.elements.status?.value ?? "";
    let shown = 0;
    for (const item of items) {
      const isHit = item.textContent.toLowerCase().includes(query) && (!status || item.dataset.group === status || item.dataset.status === status);
      item.hidden = !isHit;
      shown += isHit ? 1 : 0;
    }
    for (const group of list.querySelectorAll("[data-filter-group]")) group.hidden = !group.querySelector("[data-filter-item]:not([hidden])");
    if (none) none.hidden = shown > 0;
    if (count) count.textContent = `${shown} shown`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    apply();
  });
}

export function watchFilters() {
  for (const form of document.querySelectorAll("[data-filter-form]")) watchForm(form);
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.matches?.("input, textarea, select")) return;
    const search = document.querySelector("[data-search]");
    if (!search) return;
    event.preventDefault();
    search.focus();
  });
}
