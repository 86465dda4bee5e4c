// What a group has come to. Its state says that all members have ended, and not how: the counts do.

import { h } from "../core/dom.js";
import { count } from "../core/format.js";
import { href } from "../core/router.js";
import { factList } from "./table.js";
import { badge, hasEnded, lookOf } from "./state.js";

/** @typedef {import("../api/types.js").Invocation} Invocation */
/** @typedef {"succeeded" | "failed" | "expired" | "cancelled"} Ending */
/** @typedef {Partial<Record<Ending, number>>} Counts how many members ended in which way */

/** Each with its tone, in the order in which they are shown. */
const ENDINGS = /** @type {const} */ ({ succeeded: "good", failed: "bad", expired: "warn", cancelled: "idle" });
const NAMES = /** @type {Ending[]} */ (Object.keys(ENDINGS));
const WORST = NAMES.filter((name) => name !== "succeeded");

/**
 * The counts of a group that has ended, from its outcome; null while it runs, or where they were not read.
 *
 * @param {Invocation} group
 * @returns {Counts | null}
 */
export function endedCounts(group) {
  const outcome = group.outcome?.payload;
  return hasEnded(group) && outcome ? Object.fromEntries(NAMES.map((name) => [name, Number(outcome[name] ?? 0)])) : null;
}

/**
 * The counts of a group that runs, from those of its members.
 *
 * @param {import("../api/types.js").Summary[]} summaries
 * @returns {Counts}
 */
export function countsOf(summaries) {
  const ended = (/** @type {Ending} */ name) => summaries.filter((one) => one.state === `STATE_${name.toUpperCase()}`);
  const sum = (/** @type {Ending} */ name) => ended(name).reduce((all, one) => all + Number(one.count), 0);
  return Object.fromEntries(NAMES.map((name) => [name, sum(name)]));
}

/**
 * The state of a group, by the worst that has happened in it.
 *
 * @param {Invocation} group
 * @returns {import("./state.js").StateLook}
 */
export function groupLook(group) {
  const counts = endedCounts(group);
  const { failed = 0, expired = 0, cancelled = 0 } = counts ?? {};
  if (failed > 0) return { label: `${count(failed)} failed`, icon: "failed", tone: "bad" };
  if (expired > 0) return { label: `${count(expired)} expired`, icon: "expired", tone: "warn" };
  if (cancelled > 0) return { label: `${count(cancelled)} cancelled`, icon: "cancelled", tone: "idle" };
  return lookOf(group);
}

/** @param {Invocation} group */
export function groupBadge(group) {
  const look = groupLook(group);
  return badge(look.label, look.icon, look.tone);
}

/**
 * The state of a group, which leads to the members that it speaks of.
 *
 * @param {Invocation} group
 */
export function groupState(group) {
  const [worst] = WORST.filter((name) => endedCounts(group)?.[name]);
  return worst ? h("a", { href: membersOf(group, worst.toUpperCase()) }, groupBadge(group)) : groupBadge(group);
}

/**
 * How many members have ended, and in which way, as shares of a bar.
 *
 * @param {Invocation} group
 * @param {Counts | null} counts null where only the number of those that ended is known
 */
export function groupBar(group, counts) {
  const members = Math.max(1, group.group?.members ?? 0);
  /** @type {[string, number][]} */
  const shares = counts
    ? NAMES.map((name) => [ENDINGS[name], counts[name] ?? 0])
    : [["busy", group.group?.ended ?? 0]];
  const parts = shares.filter(([, share]) => share > 0);
  const bar = h("div", { class: "share-bar", role: "img", "aria-label": textOf(group, counts) });
  for (const [tone, share] of parts) {
    const part = h("span", { class: `share bar-${tone}` });
    part.style.width = `${(100 * share) / members}%`;
    bar.append(part);
  }
  return bar;
}

/**
 * @param {Invocation} group
 * @param {Counts | null} counts
 */
function textOf(group, counts) {
  const { members = 0, ended = 0 } = group.group ?? {};
  const how = NAMES.filter((name) => counts?.[name]).map((name) => `${count(counts?.[name])} ${name}`);
  return `${count(ended)} of ${count(members)} have ended${how.length > 0 ? `: ${how.join(", ")}` : ""}`;
}

/**
 * The other ways in which members ended, each count with a link to them.
 *
 * @param {Invocation} group
 */
export function otherEndings(group) {
  const counts = endedCounts(group);
  const [, ...others] = WORST.filter((name) => counts?.[name]);
  return others.map((name) =>
    h(
      "a",
      { class: `tone-${ENDINGS[name]} small`, href: membersOf(group, name.toUpperCase()) },
      `${count(counts?.[name])} ${name}`,
    ),
  );
}

/**
 * What a group consists of, in place of the outcome of an invocation.
 *
 * @param {Invocation} group
 * @param {Counts | null} counts
 */
export function membersView(group, counts) {
  const { members = 0, ended = 0 } = group.group ?? {};
  const link = (/** @type {number} */ number, /** @type {string} */ state) =>
    h("a", { href: membersOf(group, state) }, count(number));
  return h(
    "div",
    { class: "group-members" },
    groupBar(group, counts),
    factList([
      ["Members", link(members, "")],
      ["Not ended", hasEnded(group) ? null : count(members - ended)],
      ...NAMES.map((name) => /** @type {[string, HTMLElement | null]} */ ([
        name.charAt(0).toUpperCase() + name.slice(1),
        counts?.[name] ? link(counts[name] ?? 0, name.toUpperCase()) : null,
      ])),
      ["After each", group.group?.onEach?.join(", ")],
      ["After all", group.group?.onFinal?.join(", ")],
    ]),
  );
}

/**
 * @param {Invocation} group
 * @param {string} state all where it is empty
 */
function membersOf(group, state) {
  return href(["invocations"], { filter: `group = ${group.cid}${state ? ` AND state = ${state}` : ""}` });
}
