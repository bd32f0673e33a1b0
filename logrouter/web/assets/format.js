// Numbers, sizes and times as people read them. English, UTC.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const SIZES = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

export const count = (n) => WHOLE.format(n);
export const short = (n) => (n < 10000 ? WHOLE.format(n) : SHORT.format(n));
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

export function bytes(n) {
  let at = 0;
  for (; n >= 999.5 && at < SIZES.length - 1; at += 1) n /= 1000;
  return `${at && n < 99.5 ? n.toPrecision(3).replace(/\.?0+$/, "") : Math.round(n)}\u00a0${SIZES[at]}`;
}

export function millis(n) {
  if (n === null || n === undefined) return "–";
  if (n < 9.95) return `${Number(n.toPrecision(2))}\u00a0ms`;
  if (n < 999.5) return `${Math.round(n)}\u00a0ms`;
  return n < 99950 ? `${Number((n / 1000).toPrecision(3))}\u00a0s` : `${count(Math.round(n / 1000))}\u00a0s`;
}

export function percent(share) {
  if (!Number.isFinite(share)) return "–";
  const value = share * 100;
  if (value === 0) return "0\u00a0%";
  if (value < 0.01) return "<\u00a00.01\u00a0%";
  return `${value >= 9.95 ? value.toFixed(value > 99.9 && value < 100 ? 2 : 0) : Number(value.toPrecision(2))}\u00a0%`;
}

const pad = (n) => String(n).padStart(2, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** "21 Sep 14:13", with seconds or the year where they matter. */
export function time(text, { seconds = false } = {}) {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return "–";
  const year = at.getUTCFullYear() === new Date().getUTCFullYear() ? "" : ` ${at.getUTCFullYear()}`;
  const clock = `${pad(at.getUTCHours())}:${pad(at.getUTCMinutes())}${seconds ? `:${pad(at.getUTCSeconds())}` : ""}`;
  return `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]}${year} ${clock}`;
}

export function ago(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86400 ? `${Math.floor(seconds / 3600)} h` : plural(Math.floor(seconds / 86400), "day");
}

/** How *now* differs from *before*, as arrow and words: `{arrow, text, trend}`. */
export function change(now, before) {
  if (!before) return { arrow: "", text: now ? "none before" : "none before either", trend: "same" };
  const share = now / before - 1;
  if (Math.abs(share) < 0.005) return { arrow: "=", text: "as before", trend: "same" };
  const up = share > 0;
  const size = up && share >= 9.995 ? `${SHORT.format(now / before)} times` : `${percent(Math.abs(share))} ${up ? "more" : "less"}`;
  return { arrow: up ? "▲" : "▼", text: up && share >= 9.995 ? `${size} as much` : size, trend: up ? "up" : "down" };
}

/** The same for shares, in percentage points. */
export function shift(now, before) {
  if (!Number.isFinite(before)) return { arrow: "", text: "none before", trend: "same" };
  const points = (now - before) * 100;
  if (Math.abs(points) < 0.05) return { arrow: "=", text: "as before", trend: "same" };
  const size = Number(Math.abs(points).toFixed(Math.abs(points) < 10 ? 1 : 0));
  return { arrow: points > 0 ? "▲" : "▼", text: `${size} points ${points > 0 ? "higher" : "lower"}`, trend: points > 0 ? "up" : "down" };
}

const CLASSES = { "0xx": "client left", "1xx": "1xx", "2xx": "2xx success", "3xx": "3xx redirect", "4xx": "4xx client error", "5xx": "5xx server error" };
export const statusClass = (name) => CLASSES[name] || (name === "none" ? "no status" : name);
/** Statuses of requests that the client left before there was an answer: no error of anybody's. */
const LEFT = new Set(["000", "499"]);
export const status = (code) => (LEFT.has(code) ? `${code} left` : code === "---" ? "none" : code);
/** The class that a status is shown as: what has one has a colour and a word. */
export const classOf = (code) => (LEFT.has(code) ? "0xx" : /^\d/.test(code) ? `${code[0]}xx` : "none");

const ABSENT = { client: "no client id", api: "no API" };
/** How a name is shown: the absent one in words. */
export const named = (kind, name) => (name === "-" ? ABSENT[kind] : name === "~other" ? "all others" : name);
