// One row of the list of invocations. A row is made once, and used for one invocation after the other.

import { h, setText, setTitle } from "../core/dom.js";
import { shortCid } from "../core/format.js";
import { href } from "../core/router.js";
import { oneLine, plain } from "../core/text.js";
import { duration, exact, now, relative, toMs } from "../core/time.js";
import { groupLook } from "./group.js";
import { badge, lookOf } from "./state.js";

/** @typedef {import("../api/types.js").Invocation & {isGone?: boolean}} RowInvocation */

/** @type {[string, string][]} */
const HEADINGS = [
  ["check", ""],
  ["state", "State"],
  ["service", "Service"],
  ["detail", "Detail"],
  ["cid", "CID"],
  ["attempt", "Attempt"],
  ["took", "Took"],
  ["when", "Accepted"],
];

/** @param {HTMLElement} check all or none */
export function rowHead(check) {
  const cells = HEADINGS.map(([name, label]) =>
    h("span", { class: `cell cell-${name}`, role: "columnheader" }, name === "check" ? check : label),
  );
  return h("div", { class: "row row-head", role: "row", "aria-rowindex": "1" }, ...cells);
}

/**
 * @param {(cid: string, isChosen: boolean) => void} choose
 * @param {boolean} canChoose
 */
export function makeRow(choose, canChoose) {
  const check = h("input", { type: "checkbox", "aria-label": "Select", disabled: !canChoose, tabindex: "-1" });
  const state = h("span", { class: "cell cell-state", role: "gridcell" });
  const service = h("a", { class: "strong clip", tabindex: "-1" });
  const detail = h("span", { class: "cell cell-detail clip", role: "gridcell" });
  const cid = h("span", { class: "cell cell-cid mono quiet", role: "gridcell" });
  const attempt = h("span", { class: "cell cell-attempt number quiet", role: "gridcell" });
  const took = h("span", { class: "cell cell-took number", role: "gridcell" });
  const when = h("time", { class: "quiet", dataset: { ms: "0" } });
  const row = h(
    "div",
    { class: "row", role: "row" },
    h("span", { class: "cell cell-check", role: "gridcell" }, check),
    state,
    h("span", { class: "cell cell-service", role: "gridcell" }, service),
    detail,
    cid,
    attempt,
    took,
    h("span", { class: "cell cell-when number", role: "gridcell" }, when),
  );
  let shownCid = "";
  check.addEventListener("change", () => choose(shownCid, check.checked));
  return Object.assign(row, {
    /**
     * @param {RowInvocation | undefined} invocation undefined while it is loaded
     * @param {boolean} isChosen
     */
    show(invocation, isChosen) {
      row.classList.toggle("row-loading", invocation === undefined);
      row.classList.toggle("row-gone", invocation?.isGone === true);
      row.classList.toggle("chosen", isChosen);
      check.checked = isChosen;
      shownCid = invocation?.cid ?? "";
      check.hidden = invocation === undefined;
      if (invocation === undefined) {
        for (const cell of [state, service, detail, cid, attempt, took, when]) cell.textContent = "";
        service.removeAttribute("href");
        delete state.dataset.look;
        return;
      }
      const look = invocation.group ? groupLook(invocation) : lookOf(invocation);
      if (state.dataset.look !== look.label) {
        state.dataset.look = look.label;
        state.replaceChildren(badge(look.label, look.icon, look.tone));
      }
      setText(service, invocation.service || `group of ${invocation.group?.members ?? 0}`);
      service.href = href(["invocations", invocation.cid]);
      const text = detailOf(invocation);
      setText(detail, text);
      setTitle(detail, text);
      setText(cid, shortCid(invocation.cid));
      cid.title = invocation.cid;
      setText(attempt, invocation.attempt && invocation.attempt > 1 ? String(invocation.attempt) : "");
      setText(took, tookOf(invocation));
      const ms = toMs(invocation.acceptTime);
      when.dataset.ms = String(ms);
      when.title = exact(ms);
      setText(when, relative(ms));
    },
  });
}

/** @typedef {ReturnType<typeof makeRow>} Row */

/** @param {RowInvocation} invocation */
function detailOf(invocation) {
  const failure = invocation.outcome?.failure ?? invocation.lastFailure;
  if (invocation.isGone) return "does not match any more";
  if (failure && invocation.state !== "STATE_SUCCEEDED")
    return oneLine(plain(`${failure.reason ?? ""}: ${failure.message ?? ""}`));
  const progress = invocation.progress;
  if (invocation.state === "STATE_RUNNING" && progress) {
    const percent = progress.fraction === undefined ? "" : `${Math.round(progress.fraction * 100)} % `;
    return percent + oneLine(progress.message ?? "");
  }
  if (invocation.group) return `${invocation.group.ended ?? 0} of ${invocation.group.members ?? 0} have ended`;
  return invocation.concurrencyKey ? `key ${oneLine(invocation.concurrencyKey, 80)}` : "";
}

/** @param {RowInvocation} invocation */
function tookOf(invocation) {
  const start = invocation.firstAttemptTime;
  if (!start) return "";
  const end = invocation.endTime ? toMs(invocation.endTime) : invocation.state === "STATE_RUNNING" ? now() : null;
  return end === null ? "" : duration(end - toMs(start));
}
