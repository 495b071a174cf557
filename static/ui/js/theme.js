// Light, dark or as the system: the server keeps it in a cookie it reads itself, so the next page has no flash.
import { announce } from "./live.js";
import { setIcon } from "./icon.js";

const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");
const shown = () => root.dataset.theme || (dark.matches ? "dark" : "light");

function paintToggle() {
  const mark = document.querySelector("[data-theme-toggle] svg.icon");
  if (mark) setIcon(mark, shown() === "dark" ? "sun" : "moon");
}

document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!event.target.matches("[data-theme-form]") || !button) return;
  event.preventDefault();
  const toggled = shown() === "dark" ? "light" : "dark";
  const theme = button.hasAttribute("data-theme-toggle") ? toggled : button.value;
  if (theme === "system") delete root.dataset.theme;
  else root.dataset.theme = theme;
  const body = new URLSearchParams(new FormData(event.target));
  body.set("theme", theme);
  fetch(event.target.action, { method: "POST", body, redirect: "manual" });
  paintToggle();
  announce(theme === "system" ? "Theme follows the system" : `Theme: ${theme}`);
});
dark.addEventListener("change", paintToggle);
paintToggle();
