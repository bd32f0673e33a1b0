// One client, or one API: the same panels the other way round.

import { latencyChart, requestsChart } from "./chart.js";
import { bar, h, replace, table } from "./dom.js";
import * as format from "./format.js";
import { chartPanel, panel, tilePanel } from "./panel.js";
import { rangeInWords, seriesParameters, timeRange } from "./state.js";

const COLUMNS = 8;
const ROWS = 25;
const KINDS = {
  client: { many: "clients", peer: "api", word: "client" },
  api: { many: "apis", peer: "client", word: "API" },
};

/** The view of a client or an API. *page* is what main.js gives every view. */
export function subject(page, kind, name) {
  const { many, peer, word } = KINDS[kind];
  const path = [many, name];
  const title = format.named(kind, name);
  const seen = h("p", { class: "muted seen" }, "\u00a0");
  const head = h("div", { class: "title" },
    h("p", { class: "muted" }, h("a", { href: page.address(many, null) }, kind === "client" ? "Clients" : "APIs")),
    h("h1", { tabindex: "-1" }, kind === "client" ? "Client " : "API ", h("span", { class: "name" }, title)), seen);
  let whole = null;
  const onselect = page.zoom;
  const numbers = tilePanel("Figures", (answer) => [answer.window, answer]);
  const requests = requestsChart(onselect);
  const latency = latencyChart(onselect);
  const traffic = chartPanel({ title: "Requests over time", charts: [requests], update: requests.update });
  const delays = chartPanel({
    title: "Latency over time", charts: [latency], csv: false,
    empty: (answer) => (answer.points.some((point) => point.latency_ms) ? null : "No request in this time has a latency."),
    update: (answer) => latency.update(answer, whole),
  });
  const peers = kind === "client" ? apisPanel(page) : clientsPanel(page);
  const errors = errorsPanel(page, peer);
  const urls = urlsPanel(page);
  const parts = kind === "api" ? [["backends", partsPanel("Backends", "backends", "backend")], ["versions", partsPanel("Versions", "versions", "version")]] : [];
  const element = h("div", { class: "view" }, head, numbers.element,
    h("div", { class: "panels" }, traffic.element, delays.element, peers.element, errors.element, ...parts.map(([, part]) => part.element), urls.element, errors.newest));

  return {
    element,
    title: `${title} · ${word}`,
    async load(query, signal) {
      const when = timeRange(query);
      const series = { ...seriesParameters(query), by: "status" };
      const summary = numbers.load(path, { ...when, compare: query.compare === "off" ? undefined : "previous" }, signal).then((answer) => {
        if (!answer) return answer;
        whole = answer.window.latency_ms;
        const life = answer.lifetime;
        replace(seen, life.count ? `${format.plural(life.count, "request")} in all, the first ${format.time(life.first_seen)}, the last ${format.time(life.last_seen)}.` : "No requests yet.");
        page.announce(`${title}: ${format.plural(answer.window.count, "request")} in ${rangeInWords(query)}, ${format.plural(answer.window.errors, "failed", "failed")}.`);
        return answer;
      });
      // Percentiles of the whole time range stand beside the chart, so it waits for them.
      return Promise.all([
        summary,
        traffic.load([...path, "series"], series, signal),
        summary.then(() => delays.load([...path, "series"], series, signal)),
        peers.load([...path, kind === "client" ? "apis" : "clients"], kind === "client" ? when : { ...when, limit: ROWS }, signal),
        errors.load([...path, "errors"], when, signal),
        ...parts.map(([many, part]) => part.load([...path, many], when, signal)),
        urls.load([...path, "urls"], { ...when, contains: query.contains, status: query.status, limit: 15 }, signal),
      ]);
    },
    destroy() {
      traffic.destroy();
      delays.destroy();
    },
  };
}

function apisPanel(page) {
  return panel({
    title: "By API and status",
    empty: (answer) => (answer.apis.length ? null : "No requests in this time."),
    render(answer, body) {
      const totals = new Map();
      for (const { status } of answer.apis) for (const [code, n] of Object.entries(status)) totals.set(code, (totals.get(code) || 0) + n);
      const largest = [...totals].sort((a, b) => b[1] - a[1]).slice(0, COLUMNS).map(([code]) => code).sort();
      const more = totals.size > largest.length;
      const columns = [{ title: "API" }, { title: "Requests", number: true }, { title: "Failed", number: true },
        ...largest.map((code) => ({ title: chip(code), number: true })), ...(more ? [{ title: "other", number: true }] : [])];
      const rows = answer.apis.map((row) => [
        link(page, "api", row.api), format.count(row.count), format.percent(row.count ? row.errors / row.count : 0),
        ...largest.map((code) => (row.status[code] ? format.count(row.status[code]) : "")),
        ...(more ? [format.count(Object.entries(row.status).reduce((n, [code, m]) => n + (largest.includes(code) ? 0 : m), 0))] : []),
      ]);
      replace(body, scrolled(table("Requests by API and status", columns, rows)), rest(answer.other, "request"));
    },
  });
}

function clientsPanel(page) {
  return panel({
    title: "Top clients",
    empty: (answer) => (answer.clients.length ? null : "No requests in this time."),
    render(answer, body) {
      const most = answer.clients[0].count;
      const rows = answer.clients.map((row) => [link(page, "client", row.client_id), bar(row.count / most, figure(row))]);
      replace(body, scrolled(table("Clients of this API", [{ title: "Client" }, { title: "Requests", number: true }], rows)), bounds(answer, answer.clients, "client"));
    },
  });
}

/**
 * What an API's requests went to, or which version of it they asked for. One that answered nothing stands first, and
 * marked: gateways ask it seldom, so by its requests it would be the last.
 */
function partsPanel(title, many, field) {
  return panel({
    title,
    empty: (answer) => (answer[many].length ? null : "The gateway's lines do not say."),
    render(answer, body) {
      const ranked = [...answer[many].filter(isDead), ...answer[many].filter((row) => !isDead(row))];
      const rows = ranked.slice(0, ROWS).map((row) => [
        h("code", null, row[field]), format.count(row.count), h("span", { class: isDead(row) ? "dead" : null }, failures(row)), statuses(row.status),
      ]);
      const left = ranked.slice(ROWS);
      const rest = answer.other + answer.unknown;
      replace(body, scrolled(table(title, [{ title: title.slice(0, -1) }, { title: "Requests", number: true }, { title: "Failed", number: true }, { title: "Status" }], rows)),
        left.length || rest ? h("p", { class: "muted note" },
          left.length ? `${format.count(left.length)} more, with ${format.plural(left.reduce((n, row) => n + row.count, 0), "request")}.` : null,
          left.length && rest ? " " : null,
          rest ? `${format.plural(rest, "request")} of others, or not known of which.` : null) : null);
    },
  });
}

/** Whether nothing but errors of the server came from it; who left before an answer says neither. */
function isDead(row) {
  const left = Object.entries(row.status).reduce((n, [code, m]) => n + (format.classOf(code) === "0xx" ? m : 0), 0);
  const failed = row.status_class["5xx"] || 0;
  return failed > 0 && failed + left === row.count;
}

function failures(row) {
  if (isDead(row)) return row.errors === row.count ? `all ${format.count(row.count)} failed` : `none of ${format.count(row.count)} succeeded`;
  return row.errors ? format.percent(row.errors / row.count) : "";
}

function errorsPanel(page, peer) {
  const list = h("div");
  const newest = h("section", { class: "panel wide", "aria-label": "Newest failures", hidden: true }, h("div", { class: "head" }, h("h2", null, "Newest failures")), list);
  const made = panel({
    title: "Failures",
    render(answer, body) {
      const failed = answer.errors.reduce((n, row) => n + row.count, 0);
      const most = answer.errors[0]?.count;
      const rows = answer.errors.slice(0, 12).map((row) => [row.error === "~other" ? "all others" : row.error, bar(row.count / most, format.count(row.count), "bad")]);
      replace(body,
        rows.length ? scrolled(table("Failed requests by error", [{ title: "Error" }, { title: "Requests", number: true }], rows))
          : h("p", { class: "empty good" }, answer.success ? "Nothing failed in this time." : "No requests in this time."),
        h("p", { class: "muted note" }, `${format.count(failed)} failed, ${format.count(answer.success)} succeeded${answer.aborted ? `, in ${format.count(answer.aborted)} the client left` : ""}.`));
      newest.hidden = !answer.recent?.length;
      replace(list, newest.hidden ? null : scrolled(table("The newest failed requests, of all time",
        [{ title: "Time (UTC)" }, { title: "Status" }, { title: "Error", wide: true }, { title: peer === "api" ? "API" : "Client" }, { title: "URL", wide: true }, { title: "Request id" }],
        answer.recent.map((row) => [
          format.time(row.time, { seconds: true }), chip(row.status), row.error, link(page, peer, row[peer === "client" ? "client_id" : "api"] ?? "-"),
          h("code", null, row.url || "–"), row.request_id ? h("code", null, row.request_id) : "–",
        ]))));
    },
  });
  return { ...made, newest };
}

function urlsPanel(page) {
  const field = h("input", { name: "contains", type: "search", "aria-label": "Only URLs that contain", placeholder: "contains", maxlength: "256", spellcheck: "false" });
  const pattern = h("input", { name: "status", type: "search", "aria-label": "Only statuses such as 404, 4??, 5xx", placeholder: "status, as 5xx", maxlength: "3", size: "12", spellcheck: "false" });
  const apply = (event) => {
    event.preventDefault();
    page.change({ contains: field.value.trim(), status: pattern.value.trim() });
  };
  let whole = true;
  const made = panel({
    title: "Top URLs", wide: true,
    tools: h("form", { class: "filters", role: "search", "aria-label": "Filter URLs", onsubmit: apply, onchange: apply }, field, pattern),
    empty: (answer) => (answer.urls.length ? null : "No URL to show: none was kept in this time, or none fits."),
    render(answer, body) {
      replace(body, urlTable("Most frequent URLs", answer), bounds(answer, answer.urls, "URL", whole));
    },
  });
  return {
    ...made,
    load(path, parameters, signal) {
      whole = !parameters.contains && !parameters.status;
      for (const [input, value] of [[field, parameters.contains], [pattern, parameters.status]]) {
        if (document.activeElement !== input) input.value = value || "";
      }
      return made.load(path, parameters, signal);
    },
  };
}

export const scrolled = (child) => h("div", { class: "scroll", tabindex: "0" }, child);

/** A status with the colour of its class beside it. */
export function chip(code) {
  const text = String(code ?? "---");
  const mark = h("span", { class: "mark", "aria-hidden": "true" });
  mark.style.setProperty("background", `var(--c${format.classOf(text)})`);
  return h("span", { class: "chip" }, mark, format.status(text));
}

/** A link to a client or an API; what is no real name, or not for the caller, is text. */
export function link(page, kind, name) {
  if (name === "~other") return h("span", { class: "muted" }, "all others");
  if (!page.reads(kind, name)) return h("span", { class: name === "-" ? "absent" : null }, format.named(kind, name));
  return h("a", { href: page.address(kind, name), "data-key": `${kind} ${name}`, class: name === "-" ? "absent" : null }, format.named(kind, name));
}

const rest = (n, word) => (n ? h("p", { class: "muted note" }, `And ${format.plural(n, word)} that are not broken down by API.`) : null);

/** A count, and between which figures the true one lies where it is not known exactly. */
export const figure = (row) => (row.at_least === row.at_most ? format.count(row.count) : `${format.count(row.count)} (${format.count(row.at_least)}–${format.count(row.at_most)})`);

/** How exact a list is, in words. Of one that is not *whole* but filtered, the rest is no part of it. */
export function bounds(answer, rows, word, whole = true) {
  const exact = rows.every((row) => row.at_least === row.at_most);
  const kinds = rows.some((row) => row.failed !== undefined) ? ", and at least as many failed as are given" : "";
  return h("p", { class: "muted note" },
    [
      rows.length ? (exact ? "These counts are exact." : `Where two figures stand behind a count, the true one lies between them${kinds}.`) : null,
      answer.max_unlisted ? `A ${word} that is not listed had at most ${format.plural(answer.max_unlisted, "request")}.` : null,
      whole && answer.other ? `${exact ? "" : "Up to "}${format.plural(answer.other, "request")} ${answer.other === 1 ? "is" : "are"} of no listed ${word}.` : null,
    ].filter(Boolean).join(" "));
}

/** URLs by path template, with what they were answered and, of APIs and if they were answered at all, how slowly. */
export function urlTable(caption, answer, tone) {
  const most = Math.max(...answer.urls.map((row) => row.count));
  const timed = tone !== "bad" && answer.urls.some((row) => row.latency_ms);
  const columns = [{ title: "URL", wide: true }, { title: "Requests", number: true }, { title: "Failed", number: true },
    ...(timed ? [{ title: "p50", number: true }, { title: "p95", number: true }] : []), { title: "Status" }];
  const rows = answer.urls.map((row) => [
    h("code", null, row.url), bar(row.count / most, figure(row), tone), row.failed ? format.count(row.failed) : "",
    ...(timed ? [format.millis(row.latency_ms?.p50), format.millis(row.latency_ms?.p95)] : []), statuses(row.status),
  ]);
  return scrolled(table(caption, columns, rows));
}

/** The most frequent statuses of a URL, with their counts where there are several. */
export function statuses(counts) {
  const ranked = Object.entries(counts).sort((a, b) => b[1] - a[1]);
  return h("span", { class: "chips" }, ...ranked.slice(0, 3).map(([code, n]) => h("span", { title: format.plural(n, "request") }, chip(code))),
    ranked.length > 3 ? h("span", { class: "muted" }, `+${ranked.length - 3}`) : null);
}

