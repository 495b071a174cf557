// Reorders the rows of a form[data-reorder]: by its buttons and menus, by Alt and arrows, and by lifting the handle.
// Nothing is saved here: the form keeps the draft, the save bar says what differs from the live order.
import { announce } from "./live.js";

const form = () => document.querySelector("form[data-reorder]");
const rows = () => [...form().querySelectorAll("tr[data-step]")];
const nameOf = (row) => row.dataset.name;
const placeOf = (row) => rows().indexOf(row) + 1;
const switchOf = (row) => row.querySelector("input[name=on]");

let lifted = null; // {row, before}: the order as it was when the row was lifted
let saving = false;

function start() {
  if (!form()) return;
  for (const hidden of form().querySelectorAll("[data-grip][hidden], [data-reorder-help][hidden]")) hidden.hidden = false;
  refresh();
}

/** Put `row` at `place` (1 is the top), keep the focus where it was, and say where it is now. */
function moveTo(row, place) {
  const others = rows().filter((other) => other !== row);
  const target = Math.min(Math.max(place, 1), others.length + 1);
  if (target === placeOf(row)) return;
  const focused = document.activeElement;
  row.parentElement.insertBefore(row, others[target - 1] ?? null);
  if (row.contains(focused)) focused.focus();
  row.scrollIntoView({ block: "nearest" });
  refresh();
  announce(`${nameOf(row)}, position ${target} of ${rows().length}.`);
}

function restore(order) {
  const body = order[0].parentElement;
  body.append(...order);
  refresh();
}

function lift(row) {
  lifted = { row, before: rows() };
  row.classList.add("lifted");
  row.querySelector("[data-grip]").setAttribute("aria-pressed", "true");
  announce(`${nameOf(row)} lifted, position ${placeOf(row)} of ${rows().length}. Arrow keys move, Space drops, Escape puts it back.`);
  refresh();
}

function drop(restored = false) {
  const { row, before } = lifted;
  lifted = null;
  row.classList.remove("lifted");
  row.querySelector("[data-grip]").setAttribute("aria-pressed", "false");
  if (restored) restore(before);
  else refresh();
  if (restored) row.querySelector("[data-grip]").focus();
  announce(`${nameOf(row)} ${restored ? "put back" : "dropped"}, position ${placeOf(row)} of ${rows().length}.`);
}

/** Bring numbers, labels, buttons and the save bar in line with the order of the rows. */
function refresh() {
  const all = rows();
  all.forEach((row, index) => {
    const place = index + 1;
    const position = row.querySelector("[data-position]");
    position.textContent = place;
    position.setAttribute("aria-label", `${place}, move ${nameOf(row)} to another position`);
    row.querySelector("[data-grip]").setAttribute("aria-label", `Move ${nameOf(row)}, position ${place} of ${all.length}`);
    row.classList.toggle("off", !switchOf(row).checked);
    for (const button of row.querySelectorAll("button[name=move]")) {
      const where = button.value.split(":")[1];
      const end = where === "up" ? index === 0 : where === "down" && index === all.length - 1;
      if (where === "up" || where === "down") button.setAttribute("aria-disabled", String(end));
      else if (where === String(place)) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  });
  const hint = form().querySelector("[data-lifted]");
  if (hint) hint.textContent = lifted ? `${nameOf(lifted.row)} lifted, position ${placeOf(lifted.row)} of ${all.length}` : "";
  showChanges(changes(all));
}

/** What differs from the live order, in words: "Prospeo 3 → 2", "Apollo off". */
function changes(all) {
  const stay = longestRising(all.map((row) => Number(row.dataset.was)));
  const moved = all.filter((row, index) => !stay.has(index)).map((row) => `${nameOf(row)} ${row.dataset.was} → ${placeOf(row)}`);
  const switched = all.filter((row) => switchOf(row).checked !== row.hasAttribute("data-was-on"));
  return [...moved, ...switched.map((row) => `${nameOf(row)} ${switchOf(row).checked ? "on" : "off"}`)];
}

function showChanges(words) {
  const bar = document.getElementById("savebar");
  bar.hidden = words.length === 0;
  bar.querySelector("[data-change-count]").textContent = `${words.length} unsaved change${words.length === 1 ? "" : "s"}`;
  const text = words.join(", ");
  bar.querySelector("[data-change-words]").textContent = text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

/** The indexes of one longest rising subsequence: the rows that did not have to move. */
function longestRising(numbers) {
  const best = numbers.map(() => 1);
  const from = numbers.map(() => -1);
  let last = numbers.length ? 0 : -1;
  numbers.forEach((number, index) => {
    for (let before = 0; before < index; before += 1) {
      if (numbers[before] < number && best[before] + 1 > best[index]) {
        best[index] = best[before] + 1;
        from[index] = before;
      }
    }
    // Of equally long ones take the last: a provider that went up is then the one that moved.
    if (best[index] >= best[last]) last = index;
  });
  const kept = new Set();
  for (let at = last; at >= 0; at = from[at]) kept.add(at);
  return kept;
}

document.addEventListener("click", (event) => {
  if (!form()) return;
  const button = event.target.closest("form[data-reorder] button[name=move]");
  if (button) {
    event.preventDefault();
    if (button.getAttribute("aria-disabled") === "true") return;
    const row = button.closest("tr");
    const where = button.value.split(":")[1];
    moveTo(row, where === "up" ? placeOf(row) - 1 : where === "down" ? placeOf(row) + 1 : Number(where));
    if (button.closest(".menu-list")) row.querySelector("[data-position]").focus();
    return;
  }
  if (event.target.closest("[data-discard]")) saving = true;
  const grip = event.target.closest("form[data-reorder] [data-grip]");
  if (grip && event.detail === 0) return; // Space and Enter are handled as keys
  if (grip) toggle(grip.closest("tr"));
});

function toggle(row) {
  const same = lifted?.row === row;
  if (lifted) drop();
  if (!same) lift(row);
}

document.addEventListener("keydown", (event) => {
  const row = event.target.closest?.("form[data-reorder] tr[data-step]");
  if (!row) return;
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  const onGrip = event.target.matches("[data-grip]");
  if (step && (event.altKey || lifted?.row === row)) moveTo(row, placeOf(row) + step);
  else if (onGrip && (event.key === " " || event.key === "Enter")) toggle(row);
  else if (event.key === "Escape" && lifted) drop(true);
  else return;
  event.preventDefault();
  event.stopPropagation();
}, true);

document.addEventListener("focusout", (event) => {
  if (!lifted || !lifted.row.contains(event.target)) return;
  // Moving a row takes the focus away for a moment; only a focus that went elsewhere drops it.
  requestAnimationFrame(() => {
    if (lifted && !lifted.row.contains(document.activeElement)) drop();
  });
});

document.addEventListener("change", (event) => {
  if (event.target.matches("form[data-reorder] input[name=on]")) refresh();
});

document.addEventListener("submit", (event) => {
  if (event.target === form()) saving = true;
});

window.addEventListener("beforeunload", (event) => {
  if (!saving && form() && !document.getElementById("savebar").hidden) event.preventDefault();
});

window.addEventListener("pageshow", () => { saving = false; });

start();
