// The lead panel beside the list: rows that open it, history, J and K, closing, and what is inert behind the overlay.

const overlay = matchMedia("(max-width: 1099.98px)");
const panel = () => document.querySelector("aside.panel");
const list = () => document.getElementById("lead-table");
const rowLinks = () => [...document.querySelectorAll("#lead-table tr[data-lead] .who-name")];
const linkOf = (id) => document.querySelector(`#lead-table tr[data-lead="${id}"] .who-name`);
const listTitle = document.title;
let byKeyboard = false;

/** Bring everything that depends on the open lead in line with the page: the marked row, the title, what is inert. */
function settle() {
  const open = panel();
  for (const row of document.querySelectorAll("#lead-table tr.open")) {
    row.classList.remove("open");
    row.querySelector("[aria-current]")?.removeAttribute("aria-current");
  }
  if (open) {
    const link = linkOf(open.dataset.lead);
    link?.setAttribute("aria-current", "true");
    link?.closest("tr").classList.add("open");
  }
  const covered = Boolean(open) && overlay.matches;
  for (const id of ["main", "sidebar"]) {
    const part = document.getElementById(id);
    if (part) part.inert = covered;
  }
}

function close(push = true) {
  const open = panel();
  if (!open) return;
  const { lead, list: listUrl } = open.dataset;
  const place = document.createElement("div");
  place.id = open.id;
  place.hidden = true;
  const elsewhere = document.activeElement !== document.body && !open.contains(document.activeElement);
  open.replaceWith(place);
  document.title = document.getElementById("main")?.dataset.title ?? listTitle;
  if (push) history.pushState({ htmx: true }, "", listUrl);
  settle();
  if (elsewhere && !push) return; // whoever types in the search while the list changes goes on typing
  (linkOf(lead) ?? document.querySelector("#main h1"))?.focus({ preventScroll: false });
}

// A link that htmx serves still opens in a new tab when it is asked to.
document.addEventListener("click", (event) => {
  const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey || event.button;
  if (elsewhere && event.target.closest("a[hx-get]")) event.stopImmediatePropagation();
}, true);

document.addEventListener("click", (event) => {
  const closer = event.target.closest("[data-panel-close]");
  if (closer && list()) {
    event.preventDefault();
    close();
    return;
  }
  const row = event.target.closest("#lead-table tr[data-lead]");
  if (!row || event.target.closest("a, button, input, label") || getSelection().toString()) return;
  row.querySelector(".who-name").click();
});

document.addEventListener("keydown", () => { byKeyboard = true; }, true);
document.addEventListener("pointerdown", () => { byKeyboard = false; }, true);

document.body.addEventListener("htmx:afterSwap", ({ detail }) => {
  const open = panel();
  if (detail.target?.id === "lead-table") return close(false); // another list: its address names no lead
  if (!open || detail.target?.id !== "lead-panel") return settle();
  document.title = open.dataset.title;
  settle();
  if (byKeyboard || overlay.matches) open.querySelector("h2")?.focus({ preventScroll: true });
  linkOf(open.dataset.lead)?.scrollIntoView({ block: "nearest" });
});
document.body.addEventListener("htmx:load", settle);
overlay.addEventListener("change", settle);

// Back and Forward between the list and its panel swap only the panel, so the list keeps its place. htmx would reload.
window.addEventListener("popstate", (event) => {
  const here = location.pathname + location.search;
  if (!list()) return;
  if (here === list().dataset.url) {
    event.stopImmediatePropagation();
    close(false);
  } else if (/^\/leads\/\d+\/$/.test(location.pathname) && document.getElementById("lead-panel") && sameList()) {
    event.stopImmediatePropagation();
    htmx.ajax("GET", here, { target: "#lead-panel", swap: "outerHTML" });
  }
}, true);

const sameList = () => location.search === new URL(list().dataset.url, location.origin).search;

/** Keys the shortcut module hands over. Each returns true when it did something. */
export const panelKeys = {
  move(step) {
    if (panel()) {
      document.querySelector(step > 0 ? "[data-panel-next]" : "[data-panel-previous]")?.click();
      return true;
    }
    const links = rowLinks();
    if (!links.length) return false;
    const at = links.indexOf(document.activeElement?.closest?.("tr")?.querySelector(".who-name"));
    links[Math.min(Math.max(at + step, 0), links.length - 1)].focus();
    return true;
  },
  open() {
    if (!document.activeElement?.matches?.("#lead-table .who-name")) return false;
    document.activeElement.click();
    return true;
  },
  close() {
    if (!panel() || !list()) return false;
    close();
    return true;
  },
};

settle();
