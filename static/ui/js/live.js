// Says something to screen readers, through the live regions of the shell.

/** Announce `text`; `urgent` interrupts. The same text twice in a row is read twice. */
export function announce(text, urgent = false) {
  const region = document.getElementById(urgent ? "alert" : "live");
  if (!region) return;
  region.textContent = "";
  requestAnimationFrame(() => { region.textContent = text; });
}
