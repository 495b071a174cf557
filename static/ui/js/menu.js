// Menus (<details class="menu">), dialogs and the drawer: opening, closing, keys, and where the focus goes.

const openMenus = () => document.querySelectorAll("details.menu[open]");
const items = (menu) => [...menu.querySelectorAll(":scope > .menu-list :is(a[href], button)")];

function closeMenu(menu, refocus = false) {
  menu.open = false;
  if (refocus) menu.querySelector("summary").focus();
}

document.addEventListener("toggle", (event) => {
  if (!event.target.matches?.("details.menu[open]")) return;
  for (const menu of openMenus()) if (!menu.contains(event.target)) closeMenu(menu);
}, true);

document.addEventListener("click", (event) => {
  for (const menu of openMenus()) {
    const outside = !menu.contains(event.target);
    if (outside || event.target.closest(".menu-list :is(a, button)")) closeMenu(menu);
  }
  const opener = event.target.closest("[data-dialog]");
  if (opener) document.querySelector(opener.dataset.dialog)?.showModal();
  if (event.target.closest("[data-close]")) event.target.closest("dialog")?.close();
  if (event.target.matches("dialog.dialog") && !inside(event.target, event)) event.target.close();
  if (event.target.closest("[data-drawer]")) {
    event.preventDefault();
    setDrawer(event.target.closest("[data-drawer]").hash === "#sidebar");
  }
});

function inside(dialog, { clientX, clientY }) {
  const box = dialog.getBoundingClientRect();
  return clientX >= box.left && clientX <= box.right && clientY >= box.top && clientY <= box.bottom;
}

document.addEventListener("keydown", (event) => {
  const menu = event.target.closest?.("details.menu[open]") ?? openMenus()[0];
  if (event.key === "Escape" && menu) {
    closeMenu(menu, true);
    event.preventDefault();
    event.stopImmediatePropagation();
    return;
  }
  if (event.key === "Escape" && document.querySelector(".sidebar.is-open")) {
    setDrawer(false);
    event.stopImmediatePropagation();
    return;
  }
  if (!menu?.contains(event.target) || !["ArrowDown", "ArrowUp", "Home", "End"].includes(event.key)) return;
  const all = items(menu);
  if (!all.length || event.target.matches("input, select, textarea")) return;
  event.preventDefault();
  const at = all.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? -1 : at - 1, Home: 0, End: -1 }[event.key];
  all.at(to % all.length).focus();
});

function setDrawer(open) {
  const sidebar = document.getElementById("sidebar");
  sidebar.classList.toggle("is-open", open);
  document.getElementById("stage").inert = open;
  const to = open ? sidebar.querySelector(".drawer-close") : document.querySelector(".drawer-open");
  to?.focus();
}
document.addEventListener("pointerdown", (event) => {
  if (document.querySelector(".sidebar.is-open") && !event.target.closest(".sidebar, [data-drawer]")) setDrawer(false);
});
