// A panel: one question, and its states: loading, answered, empty, failed, and answered before but not any more.

import { ApiError, download, get, hasToken, url } from "./api.js";
import { h, replace } from "./dom.js";
import * as format from "./format.js";

/**
 * *options*: `{title, wide, render(answer) -> nodes, empty(answer) -> text or null, lines, tools: nodes}`.
 * `load(path, parameters, signal)` asks, shows, and gives the answer; what is about the whole view is thrown on.
 */
export function panel(options) {
  const body = h("div", { class: "body", "aria-busy": "true" }, skeleton(options.lines || 6));
  const trouble = h("p", { class: "trouble", hidden: true });
  const csv = h("a", { class: "csv", hidden: true }, "CSV");
  const element = h("section", { class: `panel${options.wide ? " wide" : ""}`, "aria-label": options.title },
    h("div", { class: "head" }, h("h2", null, options.title), options.tools, csv), trouble, body);
  let shown = null;
  let asked = "";

  function show(answer) {
    const nothing = options.empty?.(answer);
    body.removeAttribute("aria-busy");
    if (nothing) replace(body, h("p", { class: "empty" }, nothing));
    else options.render(answer, body);
  }

  async function load(path, parameters, signal) {
    const address = url(path, parameters);
    const same = asked === address;
    csv.href = url(path, { ...parameters, format: "csv" });
    csv.setAttribute("aria-label", `${options.title} as CSV`);
    body.toggleAttribute("data-old", Boolean(asked) && !same);
    try {
      const answer = await get(path, parameters, signal);
      trouble.hidden = true;
      body.removeAttribute("data-old");
      csv.hidden = options.csv === false;
      if (answer !== shown) show(answer);
      shown = answer;
      asked = address;
      return answer;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 401) throw error;
      fail(error, same);
      if ([0, 403, 404].includes(error.status)) throw error;
      return null;
    }
  }

  function fail(error, same) {
    body.removeAttribute("aria-busy");
    if (shown && same) {
      trouble.hidden = false;
      replace(trouble, "Not updated: ", reason(error));
      return;
    }
    shown = null;
    asked = "";
    csv.hidden = true;
    body.removeAttribute("data-old");
    replace(body, h("p", { class: "empty failed" }, reason(error)));
  }

  csv.addEventListener("click", (event) => {
    if (!hasToken()) return;
    event.preventDefault();
    const name = options.title.toLowerCase().replace(/[^a-z0-9]+/g, "-");
    download(csv.getAttribute("href"), name).catch((error) => {
      trouble.hidden = false;
      replace(trouble, "No file: ", reason(error));
    });
  });
  /** Shows a sentence instead of an answer, where nothing is asked. */
  function clear(text) {
    shown = null;
    asked = "";
    trouble.hidden = csv.hidden = true;
    body.removeAttribute("aria-busy");
    body.removeAttribute("data-old");
    replace(body, h("p", { class: "empty" }, text));
  }
  return { element, load, clear, forget: () => { shown = null; } };
}

const REASONS = {
  "not-ready": "The tables are being recovered or moved. This is tried again by itself.",
  "owner-away": "The worker that holds these figures does not answer. This is tried again by itself.",
  "partitions-missing": "Some workers that hold these figures do not answer. This is tried again by itself.",
  "not-allowed": "Your token does not allow this.",
  busy: "Too many lists are being computed. This is tried again by itself.",
  "too-slow": "This took too long. A shorter window helps.",
  "too-many-requests": "Too many questions at once. This is tried again by itself.",
};

/** An error in a sentence. */
export const reason = (error) => (error instanceof ApiError ? REASONS[error.kind] || error.message : "Something is wrong with this page; its console says what.");

function skeleton(lines) {
  return h("div", { class: "skeleton", "aria-hidden": "true" }, Array.from({ length: lines }, () => h("span")));
}

/** Numbers at a glance, each with how it differs from the time range that *answer* compares it with, and which one that is. */
export function tiles(figures, answer, extra) {
  const previous = answer.previous && asLongAs(figures.from ? figures : answer, answer.previous);
  const rate = figures.count ? figures.errors / figures.count : 0;
  const before = previous && (previous.count ? previous.errors / previous.count : NaN);
  const latency = figures.latency_ms;
  const traffic = figures.bytes.in + figures.bytes.out;
  const sampled = Math.round(figures.weighted) !== figures.count;
  return [h("dl", { class: "tiles" },
    tile("Requests", format.short(figures.count), previous && format.change(figures.count, previous.count),
      sampled ? `${format.short(figures.weighted)} with their weights` : null, format.count(figures.count)),
    tile("Failed", figures.count ? format.percent(rate) : "–", previous && format.shift(rate, before), format.plural(figures.errors, "request"), null, "bad"),
    tile("Latency, 95 % within", format.millis(latency?.p95), previous && latency && format.change(latency.p95, previous.latency_ms?.p95),
      latency && latency.p50 !== undefined ? `half within ${format.millis(latency.p50)}, 99\u00a0% within ${format.millis(latency.p99)}` : "not known", null, "bad"),
    tile("Traffic", format.bytes(traffic), previous && format.change(traffic, previous.bytes.in + previous.bytes.out),
      `${format.bytes(figures.bytes.out)} sent, ${format.bytes(figures.bytes.in)} received`),
    extra),
  h("p", { class: "muted note compared" }, compared(answer))];
}

/** The sums of *previous* as they would be over as long a time as *now*, which is shorter while its last minute is running. */
function asLongAs(now, previous) {
  const length = (range) => Date.parse(range.to) - Date.parse(range.from);
  const share = length(now) / length(previous);
  if (!Number.isFinite(share)) return previous;
  const { in: received, out: sent } = previous.bytes;
  return { ...previous, count: previous.count * share, errors: previous.errors * share, bytes: { in: received * share, out: sent * share } };
}

/** With which time figures are compared, or why with none. */
function compared({ previous, counted_since: since }) {
  if (previous) return `Compared with ${format.time(previous.from)} to ${format.time(previous.to)}.`;
  return since ? `Not compared: the time before is not known in full, as counting began ${format.time(since)}.` : null;
}

/** One number: *change* is from format.js, *kind* "bad" where more is worse. */
export function tile(label, value, change, detail, title, kind) {
  const trend = change ? h("span", { class: `change ${kind === "bad" ? change.trend : "same"}` },
    change.arrow && h("span", { class: "arrow", "aria-hidden": "true" }, change.arrow), change.text) : null;
  return h("div", { class: "tile" }, h("dt", null, label), h("dd", { class: "value", title }, value),
    h("dd", { class: "more" }, trend), h("dd", { class: "more muted" }, detail));
}

/** A panel of tiles that has neither frame nor title. */
export function tilePanel(title, pick) {
  const made = panel({
    title, wide: true, csv: false, lines: 4,
    render: (answer, body) => replace(body, ...tiles(...pick(answer))),
  });
  made.element.classList.add("bare");
  return made;
}

/** A panel with charts, which stay when their figures change. */
export function chartPanel(options) {
  const charts = options.charts;
  const made = panel({
    ...options,
    wide: true,
    lines: 8,
    render(answer, body) {
      if (body.firstChild !== charts[0].element) replace(body, charts.map(({ element }) => element));
      options.update(answer);
    },
  });
  made.element.classList.add("plots");
  return { ...made, destroy: () => charts.forEach((chart) => chart.destroy()) };
}
