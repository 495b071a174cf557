// Single-key shortcuts. They work outside fields only and can be turned off in their own list (the ? key).
import { panelKeys } from "./panel.js";
import { copyFrom } from "./copy.js";

const OFF = "shortcuts-off";
const CHANNELS = { 1: "work_email", 2: "personal_email", 3: "phone", 4: "linkedin_url" };
let first = ""; // the first key of a pair: "g" or "c"
let forget;

const typing = (element) => element?.closest?.("input, textarea, select, [contenteditable], dialog[open]");
const off = () => localStorage.getItem(OFF) === "yes";

function search() {
  const field = document.querySelector("#main input[type=search]");
  field?.focus();
  field?.select();
  return Boolean(field);
}

function go(letter) {
  const link = document.querySelector(`.nav a[data-go="${letter}"]`);
  link?.click();
  return Boolean(link);
}

function copyChannel(digit) {
  const button = document.querySelector(`#chan-${CHANNELS[digit]} [data-copy]`);
  if (button) copyFrom(button);
  return Boolean(button);
}

const single = {
  "/": search,
  j: () => panelKeys.move(1),
  ArrowDown: () => !document.activeElement?.closest?.(".scroll[tabindex]:focus, details") && panelKeys.move(1),
  k: () => panelKeys.move(-1),
  ArrowUp: () => !document.activeElement?.closest?.(".scroll[tabindex]:focus, details") && panelKeys.move(-1),
  " ": () => panelKeys.open(),
  e() { // goes to the button that spends; never presses it
    const button = document.querySelector("aside.panel .lead-actions .btn.primary");
    button?.focus();
    return Boolean(button);
  },
  f() {
    const filter = document.querySelector("[data-filter-menu]");
    if (!filter) return false;
    filter.open = true;
    filter.querySelector("select, input")?.focus();
    return true;
  },
  "?"() {
    document.getElementById("shortcuts")?.showModal();
    return true;
  },
};

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && !document.querySelector("dialog[open]")) {
    if (typing(event.target) && event.target.type === "search") return;
    if (panelKeys.close()) event.preventDefault();
    return;
  }
  if (typing(event.target) || (off() && event.key !== "?")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const pair = { g: go, c: copyChannel }[first];
  const acted = pair ? pair(key) : Object.hasOwn(single, key) && single[key]();
  clearTimeout(forget);
  first = "";
  if (acted) event.preventDefault();
  else if (!pair && (key === "g" || key === "c")) {
    first = key;
    forget = setTimeout(() => { first = ""; }, 1200);
  }
});

const toggle = document.getElementById("shortcuts-on");
if (toggle) {
  toggle.checked = !off();
  toggle.addEventListener("change", () => localStorage.setItem(OFF, toggle.checked ? "no" : "yes"));
}
