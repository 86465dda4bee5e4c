// Icons: outlines of 16 by 16, drawn here so that nothing is loaded.

import { visible } from "../core/text.js";

const SVG = "http://www.w3.org/2000/svg";

/** The paths of each icon. */
const PATHS = {
  overview: ["M2 9h2.5L6.5 3.5l3 9L11.5 8H14"],
  services: ["M8 1.8 13.6 5v6L8 14.2 2.4 11V5z", "M2.6 5.1 8 8.2l5.4-3.1M8 8.2v5.8"],
  invoke: ["M4.5 2.8v10.4L13 8z"],
  invocations: ["M5.5 4H14M5.5 8H14M5.5 12H14M2 4h.8M2 8h.8M2 12h.8"],
  groups: ["M8 2 14 5 8 8 2 5z", "M2 8l6 3 6-3M2 11l6 3 6-3"],
  "dead-letters": ["M2 9.5h3.2l1 2h3.6l1-2H14V13H2z", "M2 9.5 4 3h8l2 6.5", "M6.6 5.2l2.8 2.8M9.4 5.2 6.6 8"],
  operations: ["M3 3h10M3 3v4h10V3M3 10h10v3H3z"],
  workers: [
    "M4 4h8v8H4z",
    "M6.5 6.5h3v3h-3z",
    "M6 1.8V4M10 1.8V4M6 12v2.2M10 12v2.2M1.8 6H4M1.8 10H4M12 6h2.2M12 10h2.2",
  ],
  search: ["M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.7 10.7 14 14"],
  copy: ["M5.5 5.5h8v8h-8z", "M10.5 5.5v-3h-8v8h3"],
  check: ["M3 8.5 6.3 12 13 4.5"],
  close: ["M4 4l8 8M12 4l-8 8"],
  down: ["M4 6l4 4 4-4"],
  save: ["M8 2.5V11M4.5 7.5 8 11l3.5-3.5M3 13.5h10"],
  right: ["M6 4l4 4-4 4"],
  back: ["M10 3 5 8l5 5"],
  menu: ["M2 4.5h12M2 8h12M2 11.5h12"],
  system: ["M2 3h12v8H2zM5.5 13.5h5M8 11v2.5"],
  light: [
    "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6z",
    "M8 1.5V3M8 13v1.5M1.5 8H3M13 8h1.5M3.4 3.4l1 1M11.6 11.6l1 1M12.6 3.4l-1 1M4.4 11.6l-1 1",
  ],
  dark: ["M13 9.6A5.6 5.6 0 0 1 6.4 3a5.6 5.6 0 1 0 6.6 6.6z"],
  retry: ["M13 8a5 5 0 1 1-1.5-3.6M13 2v3h-3"],
  release: ["M3 8h9M8.5 4.5 12 8l-3.5 3.5"],
  stop: ["M4 4h8v8H4z"],
  trash: ["M2.5 4.5h11M6 4.5v-2h4v2M4 4.5l.7 9h6.6l.7-9M6.7 7v4M9.3 7v4"],
  plus: ["M8 3v10M3 8h10"],
  keyboard: ["M1.5 4h13v8h-13zM4 6.5h.5M7 6.5h.5M10 6.5h.5M4.5 9.5h7"],
  logout: ["M9.5 2.5h-7v11h7M6.5 8H14M11.5 5.5 14 8l-2.5 2.5"],
  warning: ["M8 2 14.5 13.5h-13zM8 6.5v3.2M8 11.6v.3"],
  pause: ["M5.5 3.5v9M10.5 3.5v9"],
  // States: each has a form of its own.
  pending: ["M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12z"],
  due: ["M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 4.8V8l2.2 1.6"],
  backoff: ["M13.5 8A5.5 5.5 0 1 1 8 2.5M8 5v3l2 1.4"],
  held: ["M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM6.4 5.8v4.4M9.6 5.8v4.4"],
  running: ["M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12z", "M8 2a6 6 0 0 1 0 12z"],
  waiting: ["M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM5.2 8h.2M7.9 8h.2M10.6 8h.2"],
  succeeded: ["M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12z", "M5.2 8.2 7.2 10.2 10.9 6"],
  failed: ["M5.5 2h5L14 5.5v5L10.5 14h-5L2 10.5v-5z", "M5.9 5.9l4.2 4.2M10.1 5.9 5.9 10.1"],
  cancelled: ["M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM4 12 12 4"],
  expired: ["M4.5 2h7M4.5 14h7M5 2c0 3.5 2 4.6 3 6-1 1.4-3 2.5-3 6M11 2c0 3.5-2 4.6-3 6 1 1.4 3 2.5 3 6"],
  group: ["M8 2 14 5 8 8 2 5z", "M2 8.5l6 3 6-3"],
};

/** @typedef {keyof typeof PATHS} IconName */

/** Shapes whose first path is filled, and whose others are drawn on it. */
const FILLED = new Set(["succeeded", "failed"]);

/**
 * @param {IconName} name
 * @param {string} [label] where no text beside it says the same
 * @returns {SVGSVGElement}
 */
export function icon(name, label) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", `icon icon-${name}`);
  if (label) {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", visible(label));
  } else {
    svg.setAttribute("aria-hidden", "true");
  }
  PATHS[name].forEach((path, at) => {
    const element = document.createElementNS(SVG, "path");
    element.setAttribute("d", path);
    if (FILLED.has(name)) element.setAttribute("class", at === 0 ? "icon-body" : "icon-mark");
    if (name === "running" && at === 1) element.setAttribute("class", "icon-body");
    svg.append(element);
  });
  return svg;
}
