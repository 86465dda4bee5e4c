// Light and dark: that of the system, unless the switch says otherwise.

const KEY = "cidery.theme";
/** @typedef {"system" | "light" | "dark"} Theme */

/** @returns {Theme} */
export function theme() {
  const stored = localStorage.getItem(KEY);
  return stored === "light" || stored === "dark" ? stored : "system";
}

export function applyTheme() {
  document.documentElement.dataset.theme = theme();
}

/** Whether the page is dark now. */
export function isDark() {
  const chosen = theme();
  return chosen === "dark" || (chosen === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
}

/** Changes to the next one, and tells what draws by itself. */
export function nextTheme() {
  /** @type {Record<Theme, Theme>} */
  const next = { system: isDark() ? "light" : "dark", light: "dark", dark: "system" };
  localStorage.setItem(KEY, next[theme()]);
  applyTheme();
  document.dispatchEvent(new Event("theme"));
}
