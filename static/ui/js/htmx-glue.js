// Everything that listens to htmx: busy states, announcements, focus after a swap, failures, polling in the background.
import { announce } from "./live.js";
import { icon } from "./icon.js";
import { showToast } from "./toast.js";

if (window.Idiomorph) {
  Idiomorph.defaults.ignoreActiveValue = true;
  Idiomorph.defaults.restoreFocus = true;
  // What somebody opened stays open while the part around it refreshes.
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, element) => name !== "open" || element.localName !== "details";
}

const polled = (detail) => !detail.requestConfig?.triggeringEvent;

document.body.addEventListener("htmx:beforeRequest", (event) => {
  const { detail } = event;
  if (polled(detail)) {
    if (document.hidden) event.preventDefault(); // asked again at the next beat once the page is looked at
    return;
  }
  detail.target?.setAttribute("aria-busy", "true");
  busy(detail.requestConfig.triggeringEvent.submitter ?? detail.elt);
});

// Before the swap too: a morph leaves the words of a focused button alone, also those that say it is busy.
document.body.addEventListener("htmx:beforeSwap", restAll);
document.body.addEventListener("htmx:afterRequest", ({ detail }) => {
  detail.target?.removeAttribute("aria-busy");
  restAll();
});

// A plain submit leaves the page; its button still says that something happens, and a second click does nothing.
document.addEventListener("submit", (event) => {
  if (event.target.closest("[hx-post], [hx-get]")) return;
  if (event.submitter?.hasAttribute("data-busy-since")) event.preventDefault();
  else if (event.submitter) setTimeout(busy, 0, event.submitter);
});
window.addEventListener("pageshow", (event) => {
  if (event.persisted) document.querySelectorAll("[data-busy-since]").forEach(rest);
});

function busy(button) {
  if (!button?.dataset?.busy || button.hasAttribute("data-busy-since")) return;
  button.style.setProperty("min-width", `${button.offsetWidth}px`);
  button.dataset.busySince = button.innerHTML;
  button.setAttribute("aria-busy", "true");
  button.replaceChildren(icon("loader-circle", "s14 spin"), button.dataset.busy);
}

function restAll() {
  for (const button of document.querySelectorAll("[data-busy-since]")) rest(button);
}

function rest(button) {
  button.innerHTML = button.dataset.busySince; // the server's own markup, put back
  delete button.dataset.busySince;
  button.removeAttribute("aria-busy");
  button.style.removeProperty("min-width");
}

document.body.addEventListener("htmx:afterSettle", ({ detail }) => {
  const part = detail.elt;
  if (!part?.querySelectorAll) return;
  const find = (selector) => (part.matches(selector) ? part : part.querySelector(selector));
  const said = find("[data-announce]");
  if (said && said.textContent.trim() !== lastSaid.get(said.id)) {
    lastSaid.set(said.id, said.textContent.trim());
    announce(said.textContent.trim());
  }
  find("[data-focus]")?.focus();
});
const lastSaid = new Map();

document.body.addEventListener("htmx:responseError", ({ detail }) => {
  if (polled(detail)) return;
  const { status } = detail.xhr;
  const words = {
    403: "Your role does not allow this.",
    404: "This is gone. Reload the page.",
    409: "Somebody changed this a moment ago. Reload the page to see it.",
    413: "That is too large.",
    429: "Too many requests. Try again in a moment.",
  }[status];
  showToast({ kind: "bad", text: words ?? "The server could not answer this request." });
});

document.body.addEventListener("htmx:sendError", ({ detail }) => {
  if (polled(detail)) return;
  const safe = detail.requestConfig.verb === "get";
  showToast({
    kind: "bad",
    text: safe ? "We could not reach the server." : "We do not know yet if this was saved. Reload the page to see.",
  });
});

document.addEventListener("change", (event) => {
  event.target.closest("form[data-autosubmit]")?.requestSubmit();
});
