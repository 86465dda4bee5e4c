// The shell: navigation, theme, session, keys, and the screen that the address names. Screens are modules that are
// loaded when they are first opened.

import { connection } from "./api/connect.js";
import { logOut, mayAdminister, missing, readSession, session } from "./api/session.js";
import { fill, h } from "./core/dom.js";
import { addKeys, knownKeys, startKeys } from "./core/keys.js";
import { goBack, href, open, place, start } from "./core/router.js";
import { plain } from "./core/text.js";
import { applyTheme, nextTheme, theme } from "./core/theme.js";
import { tickTimes } from "./core/time.js";
import { dialog } from "./parts/controls.js";
import { icon } from "./parts/icon.js";
import { empty, failureBox } from "./parts/notice.js";
import { screen, screenHead } from "./parts/screen.js";

/** @typedef {{default: (context: import("./parts/screen.js").Context) => HTMLElement}} ScreenModule */
/**
 * @typedef {object} Entry
 * @property {string} label
 * @property {import("./parts/icon.js").IconName} icon
 * @property {string} key that opens it, after `g`
 * @property {import("./api/session.js").Right} [needs]
 * @property {() => Promise<ScreenModule>} load
 * @property {() => Promise<ScreenModule>} [detail] where the address names one thing
 */

/** @type {Record<string, Entry>} */
const SCREENS = {
  overview: {
    label: "Overview",
    icon: "overview",
    key: "o",
    needs: "administer",
    load: () => import("./screens/overview.js"),
  },
  services: {
    label: "Services",
    icon: "services",
    key: "s",
    load: () => import("./screens/services.js"),
    detail: () => import("./screens/service.js"),
  },
  invoke: { label: "Invoke", icon: "invoke", key: "n", load: () => import("./screens/invoke.js") },
  invocations: {
    label: "Invocations",
    icon: "invocations",
    key: "i",
    needs: "read",
    load: () => import("./screens/invocations.js"),
    detail: () => import("./screens/invocation.js"),
  },
  groups: { label: "Groups", icon: "groups", key: "g", needs: "read", load: () => import("./screens/groups.js") },
  "dead-letters": {
    label: "Dead letters",
    icon: "dead-letters",
    key: "d",
    needs: "read",
    load: () => import("./screens/dead_letters.js"),
  },
  operations: {
    label: "Operations",
    icon: "operations",
    key: "p",
    needs: "administer",
    load: () => import("./screens/operations.js"),
  },
  workers: {
    label: "Workers",
    icon: "workers",
    key: "w",
    needs: "administer",
    load: () => import("./screens/workers.js"),
  },
};

const main = h("main", { id: "main" });
const banner = h("div", { class: "banner", role: "alert", hidden: true });
let life = new AbortController();
let asksWhoCalls = false;

/** Shows the screen that the address names. */
async function show() {
  life.abort();
  life = new AbortController();
  const scope = life.signal;
  const { path, query } = place();
  const name = path[0] ?? (mayAdminister() ? "overview" : "services");
  const entry = SCREENS[name];
  document.body.classList.remove("nav-open");
  for (const link of document.querySelectorAll(".nav a")) {
    const isHere = /** @type {HTMLElement} */ (link).dataset.name === name;
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (!entry) {
    const away = h("a", { href: href([]) }, "Go to the start");
    fill(main, screen(screenHead("No such page"), empty("Nothing is here", away)));
    return;
  }
  const denied = entry.needs ? missing(entry.needs) : null;
  if (denied) {
    fill(main, screen(screenHead(entry.label), empty(`${entry.label} cannot be shown`, denied)));
    return;
  }
  try {
    const isDetail = path.length > 1 && entry.detail;
    const module = await (isDetail ? entry.detail?.() : entry.load());
    if (scope.aborted || !module) return;
    fill(main, module.default({ path: path.slice(1), query, scope }));
  } catch (error) {
    if (!scope.aborted) fill(main, failureBox(error, show));
  }
}

/**
 * An entry of the navigation. One that the caller may not open leads nowhere, and says which right is missing: it can
 * be focused, so that this is read.
 *
 * @param {string} name
 * @param {Entry} entry
 */
function navigationLink(name, entry) {
  const denied = entry.needs ? missing(entry.needs) : null;
  const way = denied
    ? { role: "link", "aria-disabled": "true", tabindex: "0", title: plain(denied), class: "denied" }
    : { href: href([name]), title: `${entry.label} (g ${entry.key})` };
  return h("a", { ...way, dataset: { name } }, icon(entry.icon), h("span", null, entry.label));
}

function navigation() {
  const links = Object.entries(SCREENS).map(([name, entry]) => navigationLink(name, entry));
  const caller = session().caller;
  const switcher = h("button", {
    class: "icon-button",
    onclick: () => {
      nextTheme();
      label();
    },
  });
  const label = () => {
    const name = theme();
    switcher.setAttribute("aria-label", `Theme: ${name}`);
    switcher.title = `Theme: ${name} (t)`;
    fill(switcher, icon(name));
  };
  label();
  const leave = h(
    "button",
    { class: "icon-button", title: "Log out", "aria-label": "Log out", onclick: leaveSession },
    icon("logout"),
  );
  return h(
    "nav",
    { class: "side", "aria-label": "Console" },
    h(
      "a",
      { class: "brand", href: href([]) },
      h("img", { src: "/console/icon.svg", alt: "", width: "20", height: "20" }),
      "Cidery",
    ),
    h("div", { class: "nav" }, ...links),
    h(
      "div",
      { class: "side-foot" },
      h("span", { class: "who", title: "Who uses the console" }, caller?.principal || "no authentication"),
      session().session && leave,
      h(
        "button",
        { class: "icon-button", title: "Keys (?)", "aria-label": "Keys", onclick: showKeys },
        icon("keyboard"),
      ),
      switcher,
    ),
  );
}

async function leaveSession() {
  await logOut();
  location.assign(href([]));
}

function showKeys() {
  const rows = knownKeys()
    .reverse()
    .map((key) =>
      h(
        "div",
        null,
        h("dt", null, ...key.key.split(" ").map((part) => h("kbd", null, part))),
        h("dd", null, key.label),
      ),
    );
  dialog("Keys", () => [h("div", { class: "dialog-body" }, h("dl", { class: "keys" }, ...rows))]);
}

function globalKeys() {
  addKeys([
    ...Object.entries(SCREENS).map(([name, { label, key }]) => ({
      key: `g ${key}`,
      label: `Go to ${label}`,
      run: () => open(href([name])),
    })),
    {
      key: "/",
      label: "Search, or filter",
      run: () => /** @type {HTMLElement | null} */ (main.querySelector("[data-search], .filter-text"))?.focus(),
    },
    { key: "Escape", label: "Back", run: () => place().path.length > 1 && goBack() },
    {
      key: "t",
      label: "Light or dark",
      run: () =>
        /** @type {HTMLElement | null} */ (document.querySelector(".side-foot .icon-button:last-child"))?.click(),
    },
    { key: "?", label: "These keys", run: showKeys },
  ]);
}

function watchConnection() {
  connection.addEventListener("lost", () => {
    banner.hidden = false;
    fill(banner, icon("warning"), "The node does not answer. The console tries again.");
  });
  connection.addEventListener("reached", () => {
    banner.hidden = true;
  });
  connection.addEventListener("unauthenticated", async () => {
    if ((await readSession()).caller === null) await askWhoCalls();
  });
}

/** Shows the log-in, unless it is shown: several calls are refused when a session ends, and so is a wrong key. */
async function askWhoCalls() {
  if (asksWhoCalls) return;
  asksWhoCalls = true;
  life.abort();
  const login = await import("./screens/login.js");
  fill(document.body, login.default(enter));
}

/** Asks for a credential where there is none, and shows the console where there is. */
async function enter() {
  const { caller } = await readSession();
  if (caller === null) {
    await askWhoCalls();
    return;
  }
  asksWhoCalls = false;
  const opener = h(
    "button",
    { class: "icon-button", "aria-label": "Menu", onclick: () => document.body.classList.toggle("nav-open") },
    icon("menu"),
  );
  fill(
    document.body,
    h("a", { class: "skip", href: "#main" }, "Skip to the content"),
    h("header", { class: "topbar" }, opener, h("a", { class: "brand", href: href([]) }, "Cidery")),
    navigation(),
    h("div", { class: "content-area" }, banner, main),
  );
  await show();
}

applyTheme();
tickTimes();
startKeys();
globalKeys();
watchConnection();
start(show);
enter().catch((error) =>
  fill(
    document.body,
    h(
      "div",
      { class: "lone" },
      failureBox(error, () => location.reload()),
    ),
  ),
);
