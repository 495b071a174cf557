// Icons for elements made in the browser, from the same sprite as the server's.
const SVG = "http://www.w3.org/2000/svg";

/** The sprite's address, read from any icon of the page (its name carries a hash in production). */
function sprite() {
  const use = document.querySelector("svg.icon use");
  return use ? use.getAttribute("href").split("#")[0] : "/static/ui/icons.svg";
}

export function icon(name, extra = "") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `icon ${extra}`);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${sprite()}#${name}`);
  svg.append(use);
  return svg;
}

export function setIcon(svg, name) {
  svg.querySelector("use").setAttribute("href", `${sprite()}#${name}`);
}
