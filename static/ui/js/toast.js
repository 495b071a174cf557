// Toasts: from the server by HX-Trigger {"toast": {kind, text, href}}, from other modules by showToast().
import { icon } from "./icon.js";

const ICONS = { ok: "circle-check", warn: "triangle-alert", bad: "circle-alert" };
const MOST = 3;

/** Show one toast. It leaves after 6 s (10 s with a link); errors stay until closed; pointer or focus stops the clock. */
export function showToast({ text, kind = "ok", href = "" }) {
  const place = document.getElementById("toasts");
  if (!place || !text) return;
  const toast = document.createElement("div");
  toast.className = "toast";
  toast.setAttribute("role", kind === "bad" ? "alert" : "status");
  const words = document.createElement("p");
  words.textContent = text;
  toast.append(icon(ICONS[kind] ?? ICONS.ok, kind), words);
  if (href.startsWith("/") && !href.startsWith("//")) {
    const link = document.createElement("a");
    link.href = href;
    link.textContent = "View";
    toast.append(link);
  }
  place.append(toast);
  dress(toast, kind === "bad" ? 0 : href ? 10_000 : 6_000);
  while (place.children.length > MOST) place.firstElementChild.remove();
}

function dress(toast, stays) {
  const close = document.createElement("button");
  close.type = "button";
  close.className = "icon-btn small";
  close.setAttribute("aria-label", "Close message");
  close.append(icon("x", "s14"));
  close.addEventListener("click", () => toast.remove());
  toast.append(close);
  if (!stays) return;
  let timer;
  const start = () => { timer = setTimeout(() => toast.remove(), stays); };
  const stop = () => clearTimeout(timer);
  toast.addEventListener("pointerenter", stop);
  toast.addEventListener("pointerleave", start);
  toast.addEventListener("focusin", stop);
  toast.addEventListener("focusout", start);
  start();
}

document.body.addEventListener("toast", (event) => showToast(event.detail));
for (const toast of document.querySelectorAll("#toasts .toast")) dress(toast, toast.dataset.toast === "error" ? 0 : 6_000);
