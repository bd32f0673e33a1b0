// The start page, the lists of clients and APIs, and the reports over all of them.

import { callsChart, requestsChart } from "./chart.js";
import { bar, h, replace, table } from "./dom.js";
import * as format from "./format.js";
import { chartPanel, panel, tile, tilePanel } from "./panel.js";
import { rangeInWords, seriesParameters, timeRange } from "./state.js";
import { bounds, figure, link, scrolled, statuses, urlTable } from "./subject.js";

const SORTS = { count: "Requests", errors: "Failed", bytes: "Traffic", latency: "Mean latency" };
const FIELD = { client: "client_id", api: "api" };
const MANY = { client: "clients", api: "apis" };
const PAGE = 50;

/** The start page: everything at a glance. */
export function overview(page) {
  const numbers = tilePanel("Figures", (answer) => [answer.total, answer, [
    answer.clients === null || answer.clients === undefined ? null : tile("Clients", format.short(answer.clients), null, "seen in this time"),
    answer.apis === null || answer.apis === undefined ? null : tile("APIs", format.short(answer.apis), null, "called in this time"),
  ]]);
  const requests = requestsChart(page.zoom);
  const traffic = chartPanel({ title: "Requests over time", charts: [requests], update: requests.update });
  const clients = ranking(page, "client", "Top clients", 10);
  const apis = ranking(page, "api", "Top APIs", 10);
  const callers = callersPanel(page);
  return {
    element: h("div", { class: "view" }, h("div", { class: "title" }, h("h1", { tabindex: "-1" }, "API usage")), numbers.element,
      h("div", { class: "panels" }, traffic.element, clients.element, apis.element, callers.element)),
    title: "API usage",
    load(query, signal) {
      const when = { ...timeRange(query), partial: "allow" };
      return Promise.all([
        numbers.load(["totals"], { ...when, compare: query.compare === "off" ? undefined : "previous" }, signal).then((answer) => {
          if (answer) page.announce(`${format.plural(answer.total.count, "request")} in ${rangeInWords(query)}, ${format.plural(answer.total.errors, "failed", "failed")}.`);
          return answer;
        }),
        traffic.load(["totals", "series"], { ...seriesParameters(query), by: "status", partial: "allow" }, signal),
        clients.load(["clients"], { ...when, limit: 10 }, signal),
        apis.load(["apis"], { ...when, limit: 10 }, signal),
        ...callers.load(query, signal),
      ]);
    },
    destroy: () => traffic.destroy(),
  };
}

/** Who called a URL, over all APIs. It reads the rows of every client, so nothing is asked before somebody has typed a part of one. */
function callersPanel(page) {
  const field = h("input", { name: "url", type: "search", "aria-label": "Part of a URL", placeholder: "part of a URL", maxlength: "256", spellcheck: "false" });
  const apply = (event) => {
    event.preventDefault();
    page.change({ url: field.value.trim() });
  };
  const made = panel({
    title: "Who called this URL?", wide: true, lines: 2,
    tools: h("form", { class: "filters", role: "search", "aria-label": "Who called this URL?", onsubmit: apply, onchange: apply }, field),
    empty: (answer) => (answer.callers.length || answer.max_unlisted ? null : "Nobody called such a URL in this time."),
    render(answer, body) {
      const most = Math.max(...answer.callers.map((row) => row.count), 1);
      const columns = [{ title: "Client" }, { title: "URL", wide: true }, { title: "Requests", number: true }, { title: "Failed", number: true }, { title: "Status" }];
      const rows = answer.callers.map((row) => [
        link(page, "client", row.client_id), h("code", null, row.url), bar(row.count / most, figure(row)), row.failed ? format.count(row.failed) : "", statuses(row.status),
      ]);
      replace(body, scrolled(table("Clients by URL", columns, rows)), bounds(answer, answer.callers, "client and URL", false),
        // What the rows of a client have dropped is in no sum.
        answer.other ? h("p", { class: "muted note" }, `At least ${format.plural(answer.other, "more request", "more requests")} ${answer.other === 1 ? "is" : "are"} of such URLs.`) : null);
      page.announce(`${format.plural(answer.callers.length, "client and URL", "clients and URLs")} found.`);
    },
  });
  return {
    element: made.element,
    load(query, signal) {
      if (document.activeElement !== field) field.value = query.url || "";
      if (query.url) return [made.load(["callers"], { ...timeRange(query), contains: query.url, limit: 50, partial: "allow" }, signal)];
      made.clear("A part of a URL in the field above, or a pattern such as *orders*, shows which clients called it, whatever API it belongs to.");
      return [];
    },
  };
}

/** All clients, or all APIs: in any order, by pattern, page by page. */
export function list(page, kind) {
  const title = kind === "client" ? "Clients" : "APIs";
  const pattern = h("input", { name: "include", type: "search", "aria-label": `Only ${title} that match`, placeholder: "name, as core*", maxlength: "128", spellcheck: "false" });
  const sort = h("select", { name: "sort", "aria-label": "Order by" }, Object.entries(SORTS).map(([value, text]) => h("option", { value }, text)));
  const apply = (event) => {
    event.preventDefault();
    page.change({ include: wildcard(pattern.value.trim()), sort: sort.value === "count" ? "" : sort.value, after: "" });
  };
  const more = h("a", { class: "button", hidden: true }, "Next");
  const first = h("a", { class: "button", hidden: true }, "First page");
  const made = ranking(page, kind, `${title} by figures`, PAGE,
    h("form", { class: "filters", role: "search", "aria-label": `Filter ${title}`, onsubmit: apply, onchange: apply }, pattern, h("label", null, "Order by ", sort)));
  made.element.classList.add("wide");
  return {
    element: h("div", { class: "view" }, h("div", { class: "title" }, h("h1", { tabindex: "-1" }, title)),
      h("div", { class: "panels" }, made.element), h("p", { class: "pages" }, first, more)),
    title,
    async load(query, signal) {
      sort.value = SORTS[query.sort] ? query.sort : "count";
      if (document.activeElement !== pattern) pattern.value = query.include || "";
      const answer = await made.load([MANY[kind]], { ...timeRange(query), sort: sort.value, include: query.include, cursor: query.after, limit: PAGE, partial: "allow" }, signal);
      more.hidden = !answer?.next;
      if (answer?.next) more.href = page.address(MANY[kind], null, { ...query, after: answer.next });
      first.hidden = !query.after;
      first.href = page.address(MANY[kind], null, { ...query, after: "" });
      if (answer) page.announce(`${title}: ${format.plural(answer[MANY[kind]].length, "entry", "entries")} shown.`);
      return [answer];
    },
    destroy() {},
  };
}

const wildcard = (text) => (text && !/[*?]/.test(text) ? `*${text}*` : text);

function ranking(page, kind, title, limit, tools) {
  return panel({
    title, tools, lines: Math.min(limit, 12),
    empty: (answer) => (answer[MANY[kind]].length ? null : "Nothing in this time."),
    render(answer, body) {
      const entries = answer[MANY[kind]];
      const by = SORTS[answer.sort] ? answer.sort : "count";
      const size = { count: (row) => row.count, errors: (row) => row.errors, bytes: (row) => row.bytes.in + row.bytes.out, latency: (row) => row.latency_ms?.mean || 0 }[by];
      const most = Math.max(...entries.map(size), 1);
      const column = (key) => ({ title: SORTS[key], number: true, sorted: key === by });
      const rows = entries.map((row) => {
        const cells = { count: format.count(row.count), errors: format.percent(row.count ? row.errors / row.count : 0), bytes: format.bytes(row.bytes.in + row.bytes.out), latency: format.millis(row.latency_ms?.mean) };
        if (by === "errors") cells.errors = `${format.count(row.errors)} (${cells.errors})`;
        cells[by] = bar(size(row) / most, cells[by], by === "errors" ? "bad" : "");
        return [link(page, kind, row[FIELD[kind]]), ...Object.keys(SORTS).map((key) => cells[key])];
      });
      replace(body, scrolled(table(title, [{ title: kind === "client" ? "Client" : "API" }, ...Object.keys(SORTS).map(column)], rows)), uncertain(answer));
    },
  });
}

/** What is not known of a list that was not made from all rows. */
function uncertain(answer) {
  if (answer.exact !== false) return null;
  const size = answer.sort === "bytes" ? format.bytes(answer.max_unlisted) : format.plural(answer.max_unlisted, answer.sort === "errors" ? "failed request" : "request");
  const whom = answer.sort === "latency" ? "Only clients with many requests are compared: others have" : "The figures are exact. Clients that are missing have";
  return h("p", { class: "muted note" }, `${whom} ${size} at most.`);
}

/** Reports over all clients; for who may read certain APIs alone, those about these. */
export function reports(page) {
  const whole = !page.own();
  const chart = callsChart(page.zoom);
  const calls = chartPanel({ title: "Calls by API over time", charts: [chart], update: chart.update, empty: (answer) => (answer.apis.length ? null : "No calls in this time.") });
  const outcomes = panel({
    title: "Success and failure by API",
    empty: (answer) => (answer.rows.length ? null : "No requests in this time."),
    render(answer, body) {
      const rows = answer.rows.map((row) => [link(page, "api", row.api), row.outcome === "aborted" ? "client left" : row.outcome, h("span", { class: "text" }, row.error || "–"), format.count(row.count)]);
      replace(body, scrolled(table("Requests by API, outcome and error", [{ title: "API" }, { title: "Outcome" }, { title: "Error", wide: true }, { title: "Requests", number: true }], rows)));
    },
  });
  const unmatched = panel({
    title: "URLs that no API serves",
    empty: (answer) => (answer.urls.length ? null : "Every URL belonged to an API in this time."),
    render(answer, body) {
      replace(body, urlTable("Requested URLs without an API", answer, "bad"), bounds(answer, answer.urls, "URL", false));
    },
  });
  return {
    element: h("div", { class: "view" }, h("div", { class: "title" }, h("h1", { tabindex: "-1" }, "Reports")),
      h("div", { class: "panels" }, calls.element, outcomes.element, whole ? unmatched.element : null)),
    title: "Reports",
    load(query, signal) {
      const when = { ...timeRange(query), partial: "allow" };
      page.announce("Reports");
      return Promise.all([
        calls.load(["reports", "calls"], { ...seriesParameters(query), partial: "allow" }, signal),
        outcomes.load(["reports", "outcomes"], { ...when, limit: 40 }, signal),
        ...(whole ? [unmatched.load(["reports", "unmatched"], { ...timeRange(query), limit: 40 }, signal)] : []),
      ]);
    },
    destroy: () => calls.destroy(),
  };
}

/** What a caller sees who may read certain clients or APIs alone; *names* are the parts of each, by kind. */
export function own(page, names) {
  // Who may read nothing is told so by the answer to a list.
  const kinds = ["client", "api"].filter((kind) => names[kind].length || (kind === "client" && !names.api.length));
  const words = kinds.map((kind) => (kind === "client" ? "clients" : "APIs"));
  const title = `Your ${words.join(" and ")}`;
  const made = kinds.map((kind, at) => ranking(page, kind, `Your ${words[at]} by figures`, PAGE));
  made.forEach(({ element }) => element.classList.add("wide"));
  // Also those without requests in this time, which the list of figures does not have.
  const name = (kind, parts) => (parts.length > 1 ? h("code", null, parts.join("*")) : link(page, kind, parts[0]));
  const all = kinds.map((kind, number) => h("p", { class: "muted" }, names[kind].length
    ? [`Your token reads these ${words[number]} and no others: `, names[kind].map((parts, at) => [at ? ", " : "", name(kind, parts)]), "."]
    : "Your token reads no clients."));
  return {
    element: h("div", { class: "view" }, h("div", { class: "title" }, h("h1", { tabindex: "-1" }, title), all),
      h("div", { class: "panels" }, made.map(({ element }) => element))),
    title,
    load(query, signal) {
      page.announce(title);
      return Promise.all(kinds.map((kind, at) => made[at].load([MANY[kind]], { ...timeRange(query), limit: PAGE, partial: "allow" }, signal)));
    },
    destroy() {},
  };
}

/** A sentence in the middle of the page, where there is nothing else. */
export function nothing(page, title, text, links) {
  return {
    element: h("div", { class: "view alone" }, h("h1", { tabindex: "-1" }, title), h("p", null, text),
      h("p", null, links.map(([label, view]) => [h("a", { class: "button", href: page.address(view, null) }, label), " "]))),
    title,
    load: async () => [],
    destroy() {},
  };
}

