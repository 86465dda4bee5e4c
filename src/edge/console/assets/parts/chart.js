// Charts of a range of time, by uPlot. Its colours are those of the page, and it is drawn again when they change. What a
// chart shows now, and its range, are also text: a picture says nothing to a screen reader.

import uPlot from "../vendor/uplot/uPlot.js";
import { fill, h } from "../core/dom.js";
import { isDark } from "../core/theme.js";

/**
 * @typedef {object} Series
 * @property {string} label
 * @property {string} colour the name of a property of the page, such as `--good`
 * @property {boolean} [isFilled]
 * @property {boolean} [isDashed]
 * @property {(number | null)[]} values
 */

const HEIGHT = 148;
/** Seconds between two ticks: a tick has no more than minutes. */
const STEPS = [60, 120, 300, 600, 900, 1800, 3600];

/**
 * @param {string} title
 * @param {(value: number) => string} format
 * @param {AbortSignal} scope
 * @returns {{element: HTMLElement, show: (range: string, times: number[], series: Series[]) => void}}
 */
export function chart(title, format, scope) {
  const legend = h("div", { class: "chart-legend" });
  const place = h("div", { class: "chart-place", role: "img", "aria-label": title });
  const element = h("figure", { class: "chart" }, h("figcaption", null, h("h3", null, title), legend), place);
  /** @type {uPlot | null} */
  let plot = null;
  let range = "last hour";
  /** @type {[number[], Series[]]} */
  let data = [[], []];

  /** @param {number | null} at the index under the pointer; the last value where there is none */
  function showLegend(at) {
    const [times, series] = data;
    const index = at ?? times.length - 1;
    fill(
      legend,
      ...series.map(({ label, colour, values, isDashed }) => {
        const key = h("span", { class: `key${isDashed ? " key-dashed" : ""}` });
        key.style.setProperty("--key", `var(${colour})`);
        const value = values[index];
        return h(
          "span",
          { class: "legend-item" },
          key,
          label,
          " ",
          h("b", { class: "number" }, value === null || value === undefined ? "–" : format(value)),
        );
      }),
    );
    const said = series.map(({ label, values }) => `${label} ${spoken(values.at(-1), format)}`).join(", ");
    place.setAttribute("aria-label", `${title}, ${range}. Now: ${said}`);
  }

  function draw() {
    const [times, series] = data;
    plot?.destroy();
    plot = null;
    if (times.length === 0 || place.clientWidth === 0) return;
    plot = new uPlot(
      options(place.clientWidth, series, format, showLegend),
      [times, ...series.map((one) => one.values)],
      place,
    );
  }
  const sizes = new ResizeObserver(() => {
    if (!plot) draw();
    else if (Math.abs(plot.width - place.clientWidth) > 1) plot.setSize({ width: place.clientWidth, height: HEIGHT });
  });
  sizes.observe(place);
  document.addEventListener("theme", draw, { signal: scope });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw, { signal: scope });
  scope.addEventListener("abort", () => {
    sizes.disconnect();
    plot?.destroy();
  });

  return {
    element,
    show(shown, times, series) {
      range = shown;
      const isSame = plot && data[1].length === series.length;
      data = [times, series];
      if (isSame && plot) plot.setData([times, ...series.map((one) => one.values)]);
      else draw();
      showLegend(null);
    },
  };
}

/**
 * @param {number} width
 * @param {Series[]} series
 * @param {(value: number) => string} format
 * @param {(at: number | null) => void} showLegend
 */
function options(width, series, format, showLegend) {
  const page = getComputedStyle(document.documentElement);
  const colour = (/** @type {string} */ name) => resolved(page, name);
  const axis = {
    stroke: colour("--text-2"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
    font: "11px system-ui",
  };
  return {
    width,
    height: HEIGHT,
    padding: /** @type {[number, number, number, number]} */ ([8, 8, 0, 0]),
    legend: { show: false },
    cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
    scales: {
      y: {
        range: (/** @type {unknown} */ _, /** @type {number} */ __, /** @type {number} */ high) =>
          /** @type {[number, number]} */ ([0, high > 0 ? high * 1.1 : 1]),
      },
    },
    axes: [
      {
        ...axis,
        size: 24,
        space: 80,
        incrs: STEPS,
        values: (/** @type {unknown} */ _, /** @type {number[]} */ times) => times.map(clock),
      },
      {
        ...axis,
        size: 56,
        space: 32,
        values: (/** @type {unknown} */ _, /** @type {number[]} */ values) => values.map(format),
      },
    ],
    series: [
      {},
      ...series.map((one) => ({
        label: one.label,
        stroke: colour(one.colour),
        width: 1.5,
        dash: one.isDashed ? [4, 3] : undefined,
        fill: one.isFilled ? `${colour(one.colour)}24` : undefined,
        // A line needs two points: a sample between gaps is a dot.
        points: {
          show: false,
          size: 4,
          fill: colour(one.colour),
          filter: (/** @type {uPlot} */ self, /** @type {number} */ at) => lone(self.data[at]),
        },
        spanGaps: false,
      })),
    ],
    hooks: { setCursor: [(/** @type {uPlot} */ self) => showLegend(self.cursor.idx ?? null)] },
  };
}

/**
 * @param {number | null | undefined} value
 * @param {(value: number) => string} format
 */
function spoken(value, format) {
  return value === null || value === undefined ? "none" : format(value);
}

/**
 * The indices of values that have no other one beside them.
 *
 * @param {ArrayLike<number | null | undefined> | undefined} values
 */
function lone(values) {
  const all = Array.from(values ?? []);
  const isGap = (/** @type {number} */ index) => all[index] === null || all[index] === undefined;
  return [...all.keys()].filter((index) => !isGap(index) && isGap(index - 1) && isGap(index + 1));
}

/** @param {number} seconds */
function clock(seconds) {
  const time = new Date(seconds * 1000);
  return `${String(time.getHours()).padStart(2, "0")}:${String(time.getMinutes()).padStart(2, "0")}`;
}

/**
 * A colour of the page as a canvas takes it: properties have one for each of light and dark.
 *
 * @param {CSSStyleDeclaration} page
 * @param {string} name
 */
function resolved(page, name) {
  const [, light = "", dark = ""] = /light-dark\(([^,]+),\s*([^)]+)\)/.exec(page.getPropertyValue(name)) ?? [];
  return (isDark() ? dark : light).trim() || page.getPropertyValue(name).trim() || "gray";
}
