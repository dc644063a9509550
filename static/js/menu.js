// Menus on <details>: Escape and a click elsewhere close them, arrow keys move. On phones the sidebar closes on a link.
export function watchMenus() {
  addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
    if (event.target.closest?.(".sidebar a[href]")) {
      const sidebar = event.target.closest(".sidebar");
      if (sidebar.matches(":popover-open")) sidebar.hidePopover();
    }
  });
  addEventListener("keydown", (event) => {
    const menu = event.target.closest?.("details.menu[open]");
    if (!menu) return;
    const items = [...menu.querySelectorAll(".menu__item")];
    const at = items.indexOf(document.activeElement);
    if (event.key === "Escape") {
      menu.open = false;
      menu.querySelector("summary").focus();
      event.stopPropagation();
    } else if (event.key === "ArrowDown") {
      items[(at + 1) % items.length]?.focus();
      event.preventDefault();
    } else if (event.key === "ArrowUp") {
      items[at < 1 ? items.length - 1 : at - 1]?.focus();
      event.preventDefault();
    }
  });
}
