// Copy buttons: [data-copy] holds the value; they are hidden until this script can serve them.
import { announce } from "./live.js";
import { setIcon } from "./icon.js";

const reveal = (root) => root.querySelectorAll?.("[data-copy][hidden]").forEach((button) => { button.hidden = false; });
reveal(document);
document.body.addEventListener("htmx:load", (event) => reveal(event.detail.elt.parentElement ?? document));

async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  const field = document.createElement("textarea"); // plain http on a company network has no clipboard object
  field.value = text;
  field.className = "sr";
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (!done) throw new Error("refused");
}

export async function copyFrom(button) {
  const mark = button.querySelector("svg.icon");
  try {
    await copy(button.dataset.copy);
    announce("Copied");
    if (!mark) return;
    setIcon(mark, "check");
    setTimeout(() => setIcon(mark, "copy"), 1500);
  } catch {
    announce("Not copied: the browser refused.", true);
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copyFrom(button);
});
