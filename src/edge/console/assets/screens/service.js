// One service: what it takes and gives, where it is served, its limits, its last hour, and pause and resume.

import { isUnreachable } from "../api/connect.js";
import { controlService, getService } from "../api/node.js";
import { mayAdminister, missing, missingInvoke } from "../api/session.js";
import { fill, h, uniqueId } from "../core/dom.js";
import { count, plural, words } from "../core/format.js";
import { poll } from "../core/poll.js";
import { href, open } from "../core/router.js";
import { typeText } from "../core/sio.js";
import { oneLine } from "../core/text.js";
import { ago, duration, durationMs } from "../core/time.js";
import { textView } from "../parts/content.js";
import { action, dialog, tabs } from "../parts/controls.js";
import { historyCharts } from "../parts/history.js";
import { icon } from "../parts/icon.js";
import { failureBox, loading, messagePlace, toast } from "../parts/notice.js";
import { said } from "../parts/said.js";
import { backLink, panel, screen, screenHead } from "../parts/screen.js";
import { badge, healthBadge } from "../parts/state.js";
import { factList } from "../parts/table.js";
import { pretty } from "../core/json_text.js";

/** @typedef {import("../api/types.js").ServiceDescription} ServiceDescription */
/** @typedef {import("../api/types.js").Element} Element */

const EVERY_MS = 5000;

/** @param {import("../parts/screen.js").Context} context */
export default function service({ path, scope }) {
  const name = path[0] ?? "";
  const health = h("span");
  const buttons = h("div", { class: "screen-actions" });
  const back = backLink("services", "All services");
  const place = h("div", null, loading());
  const load = h("div");
  const served = h("div");
  let shown = "";

  const reads = poll(scope, EVERY_MS, async (signal) => {
    let described;
    try {
      described = await getService(name, signal);
    } catch (error) {
      // Where the node does not answer, what is shown stays.
      if (!signal.aborted && !(shown && isUnreachable(error))) {
        shown = "";
        fill(
          place,
          failureBox(error, () => reads.now()),
        );
      }
      throw error;
    }
    fill(health, healthBadge(described.health));
    fill(load, loadFacts(described));
    fill(served, locations(described));
    const state = JSON.stringify([described.control, described.declaration]);
    if (state === shown) return;
    shown = state;
    fill(buttons, ...actions(described, () => reads.now()));
    fill(place, content(described, load, served, scope));
  });
  return screen(screenHead(name, { before: back, after: [health], actions: [buttons] }), place);
}

/**
 * @param {ServiceDescription} described
 * @param {() => void} changed
 */
function actions(described, changed) {
  const name = described.declaration.name;
  const denied = missing("administer");
  const control = described.control;
  const run = async (/** @type {"Resume" | "Enable"} */ verb) => {
    try {
      await controlService(verb, { service: name });
      toast(`${name}: ${verb === "Resume" ? "resumed" : "enabled"}`);
    } catch (error) {
      toast(error instanceof Error ? error.message : String(error));
    }
    changed();
  };
  const given = [
    action("Invoke", {
      run: () => open(href(["invoke"], { service: name })),
      icon: "invoke",
      kind: "primary",
      denied: missingInvoke(name),
    }),
  ];
  if (control?.paused) given.push(action("Resume", { run: () => run("Resume"), denied }));
  else given.push(action("Pause…", { run: () => pauseDialog("Pause", name, changed), icon: "pause", denied }));
  if (control?.disabled) given.push(action("Enable", { run: () => run("Enable"), denied }));
  else given.push(action("Disable…", { run: () => pauseDialog("Disable", name, changed), denied }));
  return given;
}

/**
 * @param {"Pause" | "Disable"} verb
 * @param {string} service
 * @param {() => void} changed
 */
function pauseDialog(verb, service, changed) {
  dialog(`${verb} ${service}`, ({ close }) => {
    const reason = h("input", { type: "text", id: uniqueId("reason"), maxlength: "500", autofocus: true });
    const background = h("input", { type: "checkbox", id: uniqueId("background") });
    const message = messagePlace();
    const says =
      verb === "Pause"
        ? "Background calls are accepted, and wait. Synchronous calls are refused. What runs goes on."
        : "Every call is refused, and what is pending waits.";
    const form = h(
      "form",
      { class: "dialog-body" },
      h("p", null, says),
      h("div", { class: "field" }, h("label", { for: reason.id }, "Reason, shown to callers"), reason),
      verb === "Pause" &&
        h("div", { class: "field check" }, background, h("label", { for: background.id }, "Synchronous calls go on")),
      message,
      h(
        "div",
        { class: "dialog-actions" },
        action("Close", { run: close }),
        h("button", { class: "button danger", type: "submit" }, verb),
      ),
    );
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        const options = verb === "Pause" ? { backgroundOnly: background.checked } : {};
        await controlService(verb, { service, reason: reason.value, ...options });
        close();
        changed();
      } catch (error) {
        message.show(error);
      }
    });
    for (const button of form.querySelectorAll("button:not([type])")) button.setAttribute("type", "button");
    return [form];
  });
}

/**
 * @param {ServiceDescription} described
 * @param {HTMLElement} load
 * @param {HTMLElement} served
 * @param {AbortSignal} scope
 */
function content(described, load, served, scope) {
  const { declaration, control } = described;
  const schemas = tabs("Schemas", [
    { id: "elements", label: "Elements", panel: () => elements(described) },
    { id: "input", label: "Input schema", panel: () => schema(described.inputSchema, "input schema") },
    { id: "output", label: "Output schema", panel: () => schema(described.outputSchema, "output schema") },
  ]);
  return h(
    "div",
    { class: "service" },
    control && controlNotice(control),
    declaration.description && h("p", null, ...said(declaration.description)),
    load,
    mayAdminister() && historyCharts(declaration.name, scope),
    h("section", { class: "panel" }, h("h2", null, "Simple IO"), schemas.bar, schemas.panel),
    h("div", { class: "two" }, panel("Served by", served), panel("Options and limits", optionFacts(described))),
  );
}

/** @param {import("../api/types.js").ServiceControl} control */
function controlNotice(control) {
  const what = control.disabled ? "Disabled" : control.backgroundOnly ? "Paused, background work only" : "Paused";
  return h(
    "div",
    { class: "notice notice-warn", role: "status" },
    icon("held"),
    h(
      "div",
      null,
      h("b", null, what),
      control.time && [" ", ago(control.time)],
      control.principal && ` by ${control.principal}`,
      control.reason && `: ${control.reason}`,
    ),
  );
}

/** @param {ServiceDescription} described */
function loadFacts(described) {
  const name = described.declaration.name;
  const to = (/** @type {string} */ state, /** @type {string | undefined} */ value) =>
    h("a", { href: href(["invocations"], { filter: `service = ${name} AND state = ${state}` }) }, count(value));
  return factList([
    ["Running", to("RUNNING", described.running)],
    ["Pending", to("PENDING", described.pending)],
    ["Queued calls", count(described.queued)],
    ["Invocations", h("a", { href: href(["invocations"], { filter: `service = ${name}` }) }, "all")],
    [
      "Typed method",
      described.typedMethod
        ? h("span", { class: "mono" }, described.typedMethod)
        : described.typedMethodNote && h("span", { class: "quiet" }, oneLine(described.typedMethodNote)),
    ],
    ["Last served", described.lastServedTime && ago(described.lastServedTime)],
  ]);
}

/** @param {ServiceDescription} described */
function elements(described) {
  const sio = described.declaration.sio;
  return h(
    "div",
    { class: "two" },
    h(
      "div",
      null,
      h("h3", null, "Input", sio?.input?.list && h("span", { class: "tag" }, "list")),
      elementTable(sio?.input, "input"),
    ),
    h(
      "div",
      null,
      h("h3", null, "Output", sio?.output?.list && h("span", { class: "tag" }, "list")),
      elementTable(sio?.output, "output"),
    ),
  );
}

/**
 * @param {import("../api/types.js").Elements | undefined} declared
 * @param {string} what
 */
function elementTable(declared, what) {
  const rows = [...flat(declared?.elements ?? [], 0)];
  if (rows.length === 0) return h("p", { class: "quiet" }, declared ? "Nothing" : "Any value");
  return h(
    "div",
    { class: "table-wrap" },
    h(
      "table",
      { class: "table dense", "aria-label": `Elements of the ${what}` },
      h(
        "thead",
        null,
        h("tr", null, ...["Name", "Type", "Description"].map((label) => h("th", { scope: "col" }, label))),
      ),
      h(
        "tbody",
        null,
        ...rows.map(({ element, depth }) => {
          const name = h("span", { class: "mono" }, element.name || "value");
          name.style.paddingInlineStart = `${depth * 12}px`;
          return h(
            "tr",
            null,
            h("td", null, name, !element.optional && h("span", { class: "required", title: "Required" }, " *")),
            h(
              "td",
              null,
              typeText(element),
              element.defaultJson && h("span", { class: "quiet" }, ` = ${oneLine(element.defaultJson, 60)}`),
            ),
            h("td", { class: "quiet" }, ...said(element.description ?? "")),
          );
        }),
      ),
    ),
  );
}

/**
 * @param {Element[]} elements
 * @param {number} depth
 * @returns {Generator<{element: Element, depth: number}>}
 */
function* flat(elements, depth) {
  for (const element of elements) {
    yield { element, depth };
    yield* flat(element.elements ?? element.item?.elements ?? [], depth + 1);
  }
}

/**
 * @param {string | undefined} text
 * @param {string} what
 */
function schema(text, what) {
  return text ? textView(pretty(text), what, true) : h("p", { class: "quiet" }, "None is declared");
}

/** @param {ServiceDescription} described */
function locations(described) {
  const all = described.locations ?? [];
  if (all.length === 0) return h("p", { class: "quiet" }, "No worker is connected for it");
  return h(
    "ul",
    { class: "plain-list" },
    ...all.map((one) =>
      h(
        "li",
        null,
        h(
          "span",
          { class: "grow" },
          one.workerId ? (one.workerName ?? "") : "the node",
          one.buildId && h("span", { class: "quiet mono small" }, ` ${oneLine(one.buildId, 40)}`),
        ),
        one.away && badge("Away", "warning", "warn"),
        h("span", { class: "quiet" }, plural(one.running, "running", "running")),
        h("span", { class: "quiet" }, ago(one.sinceTime)),
      ),
    ),
  );
}

/** @param {ServiceDescription} described */
function optionFacts(described) {
  const options = described.effectiveOptions ?? {};
  const retry = options.retryPolicy;
  const time = (/** @type {string | undefined} */ text) => (text ? duration(durationMs(text)) : null);
  return factList([
    ["Concurrency", count(options.concurrency)],
    ["Queue", count(options.queueLength)],
    ["Pending, at most", count(options.pendingLimit)],
    ["Rate", options.rate ? `${options.rate}/s${options.burst ? `, burst ${count(options.burst)}` : ""}` : "any"],
    ["Timeout", time(options.timeout)],
    ["Attempt timeout", time(options.attemptTimeout)],
    [
      "Attempts",
      retry ? `${count(retry.maxAttempts)}, ${time(retry.initialInterval)} to ${time(retry.maxInterval)}` : null,
    ],
    ["When exhausted", words(options.onExhausted, "ON_EXHAUSTED_")],
    ["Retention", time(options.retention)],
    ["Of failures", time(options.failureRetention)],
    ["Idempotent", options.idempotent ? "yes" : "no"],
  ]);
}
