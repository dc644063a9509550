// Short messages in the corner, read out politely.
const SHOWN_MS = 5000;

export function toast(text) {
  const region = document.querySelector("[data-toasts]");
  if (!region) return;
  const item = document.createElement("p");
  item.className = "toast";
  item.textContent = text;
  region.append(item);
  setTimeout(() => item.remove(), SHOWN_MS);
}
