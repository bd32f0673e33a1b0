// The state of the page is its address behind the #: `#/clients/abc?window=7d&sort=errors`. Nothing else is kept.

export const WINDOWS = { "1h": "1 hour", "24h": "24 hours", "7d": "7 days", "30d": "30 days" };
const MINUTES = { "1h": 60, "24h": 1440, "7d": 10080, "30d": 43200 };
const VIEWS = new Set(["", "clients", "apis", "reports"]);
export const DEFAULT_WINDOW = "24h";

/** What an address asks for: `{view, name, query}`; null for an address that this page does not have. */
export function parse(hash) {
  const [path, search] = split(hash.replace(/^#/, "") || "/");
  const parts = path.split("/").slice(1);
  if (!path.startsWith("/") || parts.length > 2 || !VIEWS.has(parts[0])) return null;
  if (parts.length === 2 && !["clients", "apis"].includes(parts[0])) return null;
  const query = Object.fromEntries(new URLSearchParams(search));
  if (parts.length < 2 || parts[1] === "") return { view: parts[0] || "overview", name: null, query };
  try {
    return { view: parts[0] === "clients" ? "client" : "api", name: decodeURIComponent(parts[1]), query };
  } catch {
    return null;
  }
}

function split(text) {
  const at = text.indexOf("?");
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

/** The address of a state; query members that are empty are left out. */
export function address(view, name, query) {
  const base = { overview: "", clients: "clients", client: "clients", apis: "apis", api: "apis", reports: "reports" }[view];
  const kept = Object.entries(query || {}).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const search = new URLSearchParams(kept).toString();
  return `#/${base}${name === null || name === undefined ? "" : `/${encodeURIComponent(name)}`}${search ? `?${search}` : ""}`;
}

/** The part of a query that goes with the reader from view to view: the time range. */
export function carried({ window, from, to }) {
  return from ? { from, to } : { window };
}

/** The time range as parameters of the API. */
export function timeRange(query) {
  if (query.from) return { from: query.from, to: query.to };
  return { window: WINDOWS[query.window] ? query.window : DEFAULT_WINDOW };
}

/** The time range in words: "the last 24 hours". */
export function rangeInWords(query) {
  if (query.from) return "the chosen time";
  return `the last ${WINDOWS[timeRange(query).window]}`.replace("last 1 ", "last ");
}

const STEPS = { minute: 60e3, hour: 3600e3, day: 86400e3 };
const KEPT = { minute: 24 * 3600e3, hour: 35 * 86400e3, day: 400 * 86400e3 };

/** The parameters of a series over the time range, in the finest step that is kept and gives a readable number of points. */
export function seriesParameters(query, now = Date.now()) {
  const end = query.from && query.to ? Date.parse(query.to) : now;
  const begin = query.from ? Date.parse(query.from) : now - MINUTES[timeRange(query).window] * 60e3;
  const most = { minute: 360, hour: 840 };
  const fits = (step) => (end - begin) / STEPS[step] <= most[step] && begin >= now - KEPT[step] + 2 * STEPS[step];
  return { ...timeRange(query), step: ["minute", "hour"].find(fits) || "day" };
}

/** How often figures are asked for again, in ms: seldom where they change little. */
export function refreshInterval(query) {
  if (query.from && query.to && Date.parse(query.to) < Date.now()) return 60e3;
  return { "1h": 5e3, "24h": 10e3, "7d": 30e3, "30d": 60e3 }[timeRange(query).window] || 30e3;
}
