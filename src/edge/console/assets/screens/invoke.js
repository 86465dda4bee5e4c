// Invokes a service: a form of its declared input, raw JSON, what came back, live events, and the last calls.

import { ApiError } from "../api/connect.js";
import { getInvocation, getService, invoke, invokeAsync, listServices } from "../api/node.js";
import { forgetCalls, pastCalls, rememberCall, updateCall } from "../core/call_history.js";
import { fill, h, uniqueId } from "../core/dom.js";
import { href, open, rewriteQuery } from "../core/router.js";
import { plain } from "../core/text.js";
import { ago, duration } from "../core/time.js";
import { contentView, textOf } from "../parts/content.js";
import { copyButton } from "../parts/controls.js";
import { liveEvents } from "../parts/events.js";
import { icon } from "../parts/icon.js";
import { invokeForm } from "../parts/invoke_form.js";
import { empty, failureBox, loading } from "../parts/notice.js";
import { said } from "../parts/said.js";
import { panel, screen, screenHead } from "../parts/screen.js";
import { badge, healthBadge, stateBadge } from "../parts/state.js";

/** @typedef {import("../api/types.js").ServiceDescription} ServiceDescription */

/** @param {import("../parts/screen.js").Context} context */
export default function invokeScreen({ query, scope }) {
  const service = query.get("service") ?? "";
  const body = h("div", null, service ? loading() : null);
  const picker = servicePicker(service, scope);
  const about = h("div", { class: "toolbar" }, picker);
  const element = screen(screenHead("Invoke"), about, body);
  if (!service) {
    fill(body, empty("Choose a service", "Its input becomes a form; violations are shown at the fields."));
    return element;
  }
  const like = query.get("like");
  async function load() {
    try {
      const described = await getService(service, scope);
      const original = like ? await getInvocation(like, scope) : null;
      about.append(healthBadge(described.health), h("a", { href: href(["services", service]) }, "About the service"));
      fill(body, bench(described, original, scope));
    } catch (error) {
      if (!scope.aborted) fill(body, failureBox(error, load));
    }
  }
  load();
  return element;
}

/**
 * @param {string} service
 * @param {AbortSignal} scope
 */
function servicePicker(service, scope) {
  const names = h("datalist", { id: uniqueId("services") });
  const input = h("input", {
    type: "text",
    class: "search mono",
    value: service,
    list: names.id,
    placeholder: "Name of a service",
    "aria-label": "Service",
    "data-search": "",
    spellcheck: "false",
    autocomplete: "off",
  });
  const go = () => {
    if (input.value.trim() && input.value.trim() !== service) open(href(["invoke"], { service: input.value.trim() }));
  };
  input.addEventListener("change", go);
  input.addEventListener("keydown", (event) => event.key === "Enter" && go());
  listServices(scope).then(
    (answer) => {
      const all = answer.services ?? [];
      fill(names, ...all.map((one) => h("option", { value: one.name }, plain(one.description ?? ""))));
    },
    () => {},
  );
  return h("div", { class: "picker" }, input, names);
}

/**
 * @param {ServiceDescription} described
 * @param {import("../api/types.js").Invocation | null} original whose input the form begins with
 * @param {AbortSignal} scope
 */
function bench(described, original, scope) {
  const service = described.declaration.name;
  const result = h("div", { class: "result" });
  const history = h("div");
  let running = new AbortController();
  const form = invokeForm(described, run);
  const given = textOf(original?.input);
  if (given) form.editor.writeShown(given.text);
  scope.addEventListener("abort", () => running.abort());

  /**
   * Shows what came of a call, also where the form is so long, or the page so narrow, that it is out of sight.
   *
   * @param {HTMLElement} content
   */
  function show(content) {
    fill(result, content);
    result.scrollIntoView({ block: "nearest" });
  }

  /** @param {import("../parts/invoke_form.js").Request} call */
  async function run({ input: text, isAsync, request }) {
    running.abort();
    running = new AbortController();
    const { signal } = running;
    const start = performance.now();
    if (!isAsync) show(waiting(running));
    rewriteQuery({ service });
    /** @param {string} cid @param {string} outcome */
    const remember = (cid, outcome) => {
      const call = { service, cid, time: new Date().toISOString(), input: text, isAsync, result: outcome };
      rememberCall(call, described.declaration.sio?.input);
      showHistory();
    };
    try {
      if (isAsync) {
        const answer = await invokeAsync(request, signal);
        remember(answer.cid, "accepted");
        const ended = (/** @type {string} */ outcome) => {
          updateCall(answer.cid, outcome);
          showHistory();
        };
        show(accepted(answer, signal, ended));
      } else {
        const answer = await invoke(request, signal);
        show(succeeded(answer, performance.now() - start));
        remember(answer.cid, "succeeded");
      }
    } catch (error) {
      if (signal.aborted) {
        show(cancelled());
        return;
      }
      const failure = error instanceof ApiError ? error : null;
      show(failed(error, performance.now() - start));
      if (failure?.violations.length) form.editor.showViolations(failure.violations);
      remember(failure?.cid ?? "", failure?.reason || failure?.code || "failed");
    }
  }

  function showHistory() {
    const calls = pastCalls(service);
    fill(
      history,
      calls.length > 0 &&
        panel(
          "Last calls",
          h("ol", { class: "past-calls" }, ...calls.slice(0, 20).map((call) => pastCall(call, form.editor.write))),
          h(
            "button",
            {
              class: "button small",
              onclick: () => {
                forgetCalls(service);
                showHistory();
              },
            },
            "Forget them",
          ),
        ),
    );
  }
  showHistory();
  fill(result, empty("No call yet", "Ctrl+Enter invokes, Ctrl+Shift+Enter does so in the background."));
  return h(
    "div",
    { class: "bench" },
    h(
      "section",
      { class: "bench-form", "aria-label": "Call" },
      described.declaration.description && h("p", { class: "quiet" }, ...said(described.declaration.description)),
      form.element,
    ),
    h("section", { class: "bench-result", "aria-label": "Result" }, result, history),
  );
}

/** @param {AbortController} running */
function waiting(running) {
  const start = performance.now();
  const time = h("span", { class: "number quiet" }, "0 s");
  const timer = setInterval(() => {
    time.textContent = duration(performance.now() - start);
    if (!time.isConnected || running.signal.aborted) clearInterval(timer);
  }, 200);
  return h(
    "div",
    { class: "result-head", role: "status" },
    badge("Running", "running", "busy"),
    time,
    h("span", { class: "grow" }),
    h("button", { class: "button", onclick: () => running.abort() }, icon("stop"), "Cancel"),
  );
}

function cancelled() {
  return h(
    "div",
    { class: "result-head", role: "status" },
    badge("Cancelled", "cancelled", "idle"),
    h("span", { class: "quiet" }, "The caller disconnected, which cancels the call."),
  );
}

/**
 * @param {Awaited<ReturnType<typeof invoke>>} answer
 * @param {number} ms
 */
function succeeded(answer, ms) {
  const metadata = Object.entries(answer.metadata ?? {});
  return h(
    "div",
    null,
    h(
      "div",
      { class: "result-head", role: "status" },
      badge("Succeeded", "succeeded", "good"),
      h("span", { class: "number quiet" }, duration(ms)),
      h("span", { class: "grow" }),
      cidText(answer.cid),
    ),
    contentView(answer, "response"),
    metadata.length > 0 &&
      h(
        "dl",
        { class: "facts" },
        ...metadata.map(([key, value]) =>
          h("div", null, h("dt", { class: "mono" }, key), h("dd", { class: "mono" }, value)),
        ),
      ),
  );
}

/**
 * @param {unknown} error
 * @param {number} ms
 */
function failed(error, ms) {
  const failure = error instanceof ApiError ? error : null;
  return h(
    "div",
    null,
    h(
      "div",
      { class: "result-head" },
      badge("Failed", "failed", "bad"),
      h("span", { class: "number quiet" }, duration(ms)),
      h("span", { class: "grow" }),
      failure?.cid && cidText(failure.cid),
    ),
    failureBox(error),
    // A single one is the message.
    failure &&
      failure.violations.length > 1 &&
      h(
        "ul",
        { class: "violations" },
        ...failure.violations.map((one) =>
          h("li", null, h("code", null, one.field || "/"), " ", ...said(one.description)),
        ),
      ),
  );
}

/** What events say of the state. @type {[keyof import("../api/types.js").InvocationEvent, string][]} */
const STATES = [
  ["started", "RUNNING"],
  ["retryScheduled", "PENDING"],
  ["succeeded", "SUCCEEDED"],
  ["failed", "FAILED"],
  ["cancelled", "CANCELLED"],
  ["expired", "EXPIRED"],
];

/**
 * @param {{cid: string, alreadyAccepted?: boolean}} answer
 * @param {AbortSignal} scope
 * @param {(outcome: string) => void} ended told how
 */
function accepted(answer, scope, ended) {
  const result = h("div");
  const state = h("span", null, badge(answer.alreadyAccepted ? "Accepted before" : "Accepted", "pending", "busy"));
  const events = liveEvents(answer.cid, scope, {
    onEvent(event) {
      if (event.cid !== answer.cid) return;
      const [, name] = STATES.find(([kind]) => event[kind]) ?? [];
      const isHeld = event.retryScheduled && !event.retryScheduled.startTime;
      const pendingReason = isHeld ? "PENDING_REASON_HELD" : "PENDING_REASON_BACKOFF";
      if (name) fill(state, stateBadge({ state: `STATE_${name}`, pendingReason }));
    },
    onEnd(event) {
      if (event.succeeded) fill(result, h("h3", null, "Response"), contentView(event.succeeded, "response"));
      const { failure } = event.failed ?? event.cancelled ?? event.expired ?? {};
      ended(event.succeeded ? "succeeded" : failure?.reason || failure?.code || "failed");
    },
  });
  return h(
    "div",
    null,
    h(
      "div",
      { class: "result-head", role: "status" },
      state,
      h("span", { class: "grow" }),
      h("a", { class: "button", href: href(["invocations", answer.cid]) }, "Open the invocation"),
      copyButton(() => answer.cid, "the CID"),
    ),
    events,
    result,
  );
}

/** @param {string} cid */
function cidText(cid) {
  return h(
    "span",
    { class: "cid" },
    h("span", { class: "mono small quiet" }, cid),
    copyButton(() => cid, "the CID"),
  );
}

/**
 * @param {import("../core/call_history.js").PastCall} call
 * @param {(input: string) => void} use
 */
function pastCall(call, use) {
  const tone = call.result === "succeeded" ? "good" : call.result === "accepted" ? "busy" : "bad";
  return h(
    "li",
    null,
    h(
      "span",
      { class: `tone-${tone}` },
      icon(call.result === "succeeded" ? "succeeded" : call.result === "accepted" ? "pending" : "failed", call.result),
    ),
    h(
      "button",
      {
        class: "past-input mono",
        title: "Use this input again",
        disabled: call.input === "",
        onclick: () => use(call.input),
      },
      call.input || "(not kept)",
    ),
    call.isAsync && call.cid
      ? h("a", { href: href(["invocations", call.cid]), class: "small" }, "open")
      : h("span", { class: "quiet small mono clip" }, call.result),
    h("span", { class: "quiet small" }, ago(call.time)),
  );
}
