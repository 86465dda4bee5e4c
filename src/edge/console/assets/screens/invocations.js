// The invocations that match a filter: linkable, live, any number of them, with changes of some or of all.

import { ApiError } from "../api/connect.js";
import { changeInvocations, listInvocations, listServices, summarizeInvocations } from "../api/node.js";
import { missing } from "../api/session.js";
import { fill, h } from "../core/dom.js";
import { quoted, valuesOf, withCriterion, without } from "../core/filter.js";
import { count, plural, words } from "../core/format.js";
import { addKeys } from "../core/keys.js";
import { Pages } from "../api/pages.js";
import { poll } from "../core/poll.js";
import { href, open, rewriteQuery } from "../core/router.js";
import { bulkDialog, chosenDialog } from "../parts/bulk.js";
import { action, menu } from "../parts/controls.js";
import { filterInput } from "../parts/filter_input.js";
import { icon } from "../parts/icon.js";
import { makeRow, rowHead } from "../parts/invocation_row.js";
import { empty, failureBox, loading, messageOf, toast } from "../parts/notice.js";
import { screen, screenHead } from "../parts/screen.js";
import { STATE_NAMES, isHeld, lookOf } from "../parts/state.js";
import { tableKeys } from "../parts/table.js";
import { virtualList } from "../parts/virtual_list.js";

const LIST_MS = 2000;
const COUNT_MS = 10_000;
/** As many as one request of the node changes while it waits. */
const CHOSEN_MAX = 1000;
/** Pending ones that wait for an operator have a chip of their own: they wait until someone sees them. */
const HELD = "HELD";
const CHIPS = STATE_NAMES.flatMap((name) => (name === "PENDING" ? [name, HELD] : [name]));

/** @param {import("../parts/screen.js").Context} context */
export default function invocations({ query, scope }) {
  let filter = query.get("filter") ?? "";
  let isLive = true;
  let fresh = 0;
  /** @type {Set<string>} */
  const chosen = new Set();
  /** @type {import("../core/filter.js").Vocabulary} */
  const vocabulary = { services: [], reasons: [], metadata: [] };
  let pages = new Pages(filter, scope, drawn);
  const found = h("span", { class: "quiet number", role: "status" });
  const chips = h("div", { class: "chips", role: "group", "aria-label": "States" });
  const area = h("div", { class: "list-area" }, loading(10));
  const picked = h("div", { class: "picked", hidden: true });
  const pill = h("button", { class: "button small pill", hidden: true, onclick: () => toTop() });
  const live = h(
    "button",
    { class: "button small", "aria-pressed": "true", onclick: () => setLive(!isLive) },
    h("span", { class: "live-dot" }),
    "Live",
  );
  const all = h("input", {
    type: "checkbox",
    "aria-label": "Select the loaded ones",
    disabled: missing("control") !== null,
    tabindex: "-1",
  });
  const list = virtualList("Invocations", rowHead(all), {
    make: () => makeRow(choose, missing("control") === null),
    update: (row, index) => row.show(pages.row(index), chosen.has(pages.row(index)?.cid ?? "")),
    seen: (from, to) => pages.want(from, to).catch(failed),
    open: (index) => {
      const row = pages.row(index);
      if (row) open(href(["invocations", row.cid]));
    },
  });
  list.element.id = "invocations";
  scope.addEventListener("abort", () => list.close());
  const input = filterInput({ value: filter, vocabulary: () => vocabulary, onApply: apply });

  function drawn() {
    const rows = pages.length;
    if (rows === 0) fill(area, filter === "" ? nothing() : noMatch());
    else if (!list.element.isConnected) fill(area, list.element);
    list.setLength(rows);
  }
  /** @param {unknown} error */
  function failed(error) {
    if (scope.aborted) return;
    const isFilter = error instanceof ApiError && error.violations.some((one) => one.field.includes("filter"));
    input.fault(isFilter ? messageOf(error).replace(/^`\/filter_expression`: /, "") : "");
    if (!isFilter && pages.length === 0)
      fill(
        area,
        failureBox(error, () => lists.now()),
      );
    if (isFilter) fill(area, empty("The filter is not valid", "See the message below it."));
  }

  /** @param {string} text a filter; or a CID, or an end of one that is in the list: it is opened */
  function apply(text) {
    const cid = pages.cidOf(text.toLowerCase());
    if (cid) return open(href(["invocations", cid]));
    filter = text;
    chosen.clear();
    input.fault("");
    input.set(filter);
    rewriteQuery({ filter: filter || undefined });
    pages = new Pages(filter, scope, drawn);
    list.clearCursor();
    list.toTop();
    showPicked();
    fill(area, loading(10));
    fresh = 0;
    lists.now();
    counts.now();
  }
  function toTop() {
    list.clearCursor();
    list.toTop();
    pages.reload().catch(failed);
    showFresh(0);
  }
  /** @param {boolean} wanted */
  function setLive(wanted) {
    isLive = wanted;
    live.setAttribute("aria-pressed", String(wanted));
    if (wanted) lists.now();
  }
  /** @param {number} more */
  function showFresh(more) {
    fresh = more;
    pill.hidden = fresh === 0;
    pill.textContent = fresh >= 100 ? "100 or more new" : `${fresh} new`;
  }

  /** New ones are put in at the top while nothing is read or chosen there; otherwise a button counts them. */
  async function refresh() {
    try {
      if (pages.next === undefined || (isLive && isIdle())) {
        await pages.reload();
        showFresh(0);
      } else if (isLive) {
        await pages.refreshSeen();
        const top = await listInvocations({ filter, pageSize: 100 }, scope);
        showFresh(pages.countNew(top.invocations ?? []));
      }
      input.fault("");
    } catch (error) {
      failed(error);
      throw error;
    }
  }
  function isIdle() {
    return list.isAtTop() && list.cursor() < 0 && chosen.size === 0 && !list.element.matches(":hover");
  }
  /** Keys of metadata that are suggested: those of the newest ones. */
  async function learn() {
    const newest = { filter: "", pageSize: 20, view: "INVOCATION_VIEW_BASIC" };
    const [answer, services] = await Promise.all([listInvocations(newest, scope), listServices(scope)]);
    const keys = (answer.invocations ?? []).flatMap((one) => Object.keys(one.metadata ?? {}));
    vocabulary.metadata = [...new Set(keys)].sort().slice(0, 20);
    vocabulary.services = (services.services ?? []).map((one) => one.name);
    input.learned();
  }

  async function recount() {
    const answer = await summarizeInvocations(withoutState(filter), scope);
    const summaries = answer.summaries ?? [];
    const chosenStates = isOfHeld(filter) ? [HELD] : valuesOf(filter, "state");
    /** @type {Record<string, number>} */
    const byState = {};
    for (const one of summaries) {
      const name = one.state.slice("STATE_".length);
      byState[name] = (byState[name] ?? 0) + Number(one.count);
      if (isHeld(one)) byState[HELD] = (byState[HELD] ?? 0) + Number(one.count);
      if (one.failureReason && !vocabulary.reasons.includes(one.failureReason))
        vocabulary.reasons.push(one.failureReason);
    }
    const total =
      chosenStates.length > 0
        ? chosenStates.reduce((sum, name) => sum + (byState[name.toUpperCase()] ?? 0), 0)
        : Number(answer.total ?? 0);
    pages.total = total;
    found.textContent = count(total);
    showChips(byState, Number(answer.total ?? 0), chosenStates);
    list.setLength(pages.length);
  }

  /**
   * @param {Record<string, number>} byState
   * @param {number} total
   * @param {string[]} now
   */
  function showChips(byState, total, now) {
    const chip = (/** @type {string} */ name, /** @type {number} */ number) => {
      const isNow = name === "" ? now.length === 0 : now.includes(name);
      const look = name === "" ? null : lookOfChip(name);
      const rest = withoutState(filter);
      const field = name === HELD ? "pending_reason" : "state";
      const next = name === "" || isNow ? rest : withCriterion(rest, field, name);
      return h(
        "button",
        { class: `chip ${look ? `tone-${look.tone}` : ""}`, "aria-pressed": String(isNow), onclick: () => apply(next) },
        look && icon(look.icon),
        h("span", { class: "chip-name" }, name ? words(name) : "all"),
        h("span", { class: "number" }, count(number)),
      );
    };
    fill(chips, chip("", total), ...CHIPS.map((name) => chip(name, byState[name] ?? 0)));
  }

  /** @param {string} cid @param {boolean} isChosen */
  function choose(cid, isChosen) {
    if (isChosen && cid && chosen.size < CHOSEN_MAX) chosen.add(cid);
    else chosen.delete(cid);
    showPicked();
  }
  all.addEventListener("change", () => {
    const cids = pages.pages.flatMap((page) => (page.rows ?? []).map((row) => row.cid));
    chosen.clear();
    if (all.checked) for (const cid of cids.slice(0, CHOSEN_MAX)) chosen.add(cid);
    showPicked();
  });
  function showPicked() {
    picked.hidden = chosen.size === 0;
    all.checked = chosen.size > 0;
    list.redraw();
    const run = (/** @type {"Cancel" | "Retry" | "Purge"} */ verb) => () =>
      verb === "Retry" ? changeChosen(verb) : chosenDialog(verb, chosen.size, () => changeChosen(verb));
    fill(
      picked,
      h("b", { class: "number" }, plural(chosen.size, "selected", "selected")),
      action("Cancel…", { run: run("Cancel"), icon: "stop" }),
      action("Retry", { run: run("Retry"), icon: "retry" }),
      action("Purge…", { run: run("Purge"), icon: "trash" }),
      h("span", { class: "grow" }),
      action("Select none", {
        run: () => {
          chosen.clear();
          showPicked();
        },
      }),
    );
  }
  /** @param {"Cancel" | "Retry" | "Purge"} verb */
  async function changeChosen(verb) {
    try {
      const answer = await changeInvocations(verb, { cids: [...chosen] });
      const refused = (answer.changes ?? []).filter((change) => change.failure);
      const done = (answer.changes ?? []).length - refused.length;
      const why = refused[0]?.failure?.reason;
      toast(
        `${verb}: ${count(done)} changed${refused.length > 0 ? `, ${count(refused.length)} refused (${why})` : ""}`,
      );
      chosen.clear();
      showPicked();
      toTop();
      counts.now();
    } catch (error) {
      toast(messageOf(error));
    }
  }

  const denied = missing("administer");
  const bulk = (/** @type {import("../parts/bulk.js").Verb} */ verb) => () =>
    bulkDialog(verb, filter, () => {
      toTop();
      counts.now();
    });
  const bulkMenu = menu("Change all that match", [
    { label: "Retry…", icon: "retry", denied, run: bulk("retry") },
    { label: "Release held…", icon: "release", denied, run: bulk("release") },
    { label: "Cancel…", icon: "stop", denied, run: bulk("cancel") },
    { label: "Purge…", icon: "trash", denied, run: bulk("purge") },
  ]);

  const lists = poll(scope, LIST_MS, refresh);
  const counts = poll(scope, COUNT_MS, recount);
  learn().catch(() => {});
  addKeys(
    [
      ...tableKeys(list),
      {
        key: "x",
        label: "Select the invocation",
        run: () => {
          const row = pages.row(list.cursor());
          if (row && !missing("control")) choose(row.cid, !chosen.has(row.cid));
        },
      },
      { key: "l", label: "Live on or off", run: () => setLive(!isLive) },
      {
        key: "Escape",
        label: "To the top",
        run: () => {
          chosen.clear();
          showPicked();
          toTop();
        },
      },
    ],
    scope,
  );

  const element = screen(
    screenHead("Invocations", { after: [found], actions: [live, bulkMenu] }),
    h("div", { class: "toolbar" }, input.element),
    h("div", { class: "toolbar" }, chips, h("span", { class: "grow" }), pill),
    picked,
    area,
  );
  element.classList.add("screen-full");
  return element;

  function nothing() {
    return empty(
      "No invocations",
      "Work in the background, and calls with an idempotency key, are listed here. ",
      h("a", { href: href(["invoke"]) }, "Invoke a service"),
    );
  }
  function noMatch() {
    return empty(
      "Nothing matches",
      "No stored invocation matches ",
      h("code", null, filter),
      ". ",
      h("button", { class: "link", onclick: () => apply("") }, "Show all"),
    );
  }
}

/** @param {string} name of a chip */
function lookOfChip(name) {
  const held = { state: "STATE_PENDING", pendingReason: "PENDING_REASON_HELD" };
  return lookOf(name === HELD ? held : { state: `STATE_${name}` });
}

/** @param {string} filter */
function isOfHeld(filter) {
  const reasons = valuesOf(filter, "pending_reason");
  return reasons.length === 1 && reasons[0] === HELD;
}

/**
 * The filter without what a chip puts in: one chip replaces another.
 *
 * @param {string} filter
 */
function withoutState(filter) {
  const rest = without(filter, "state");
  return isOfHeld(rest) ? without(rest, "pending_reason") : rest;
}

/**
 * The address of the invocations of a service in a state.
 *
 * @param {Record<string, string>} values of fields of the filter
 */
export function listOf(values) {
  return href(["invocations"], {
    filter: Object.entries(values)
      .map(([field, value]) => `${field} = ${quoted(value)}`)
      .join(" AND "),
  });
}
