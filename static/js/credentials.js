// The list: choosing an order asks the server for it; the filter beside it works while typing (filter.js).
const sort = document.querySelector("[data-sort]");
sort?.addEventListener("change", () => {
  const query = new URLSearchParams(new FormData(sort.form));
  for (const [name, value] of [...query]) if (!value) query.delete(name);
  location.assign(query.size ? `/credentials?${query}` : "/credentials");
});
