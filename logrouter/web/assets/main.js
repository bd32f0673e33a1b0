// Puts the page together: address to view, view to figures, and figures asked for again while somebody looks.

import { isOneOf, ownNames, tokens } from "./access.js";
import { ApiError, askable, get, hasToken } from "./api.js";
import { byId, h, replace, say } from "./dom.js";
import { clock, judge, show } from "./freshness.js";
import { list, nothing, overview, own, reports } from "./lists.js";
import { reason } from "./panel.js";
import { search } from "./search.js";
import { DEFAULT_WINDOW, WINDOWS, address, carried, parse, refreshInterval, timeRange } from "./state.js";
import { subject } from "./subject.js";

let state = parse(location.hash) || { view: "overview", name: null, query: {} };
let view = null;
let viewed = "";
let running = null;
let timer = 0;
let paused = false;
let caller = null;
let announced = "";

const page = {
  /** The address of a view for the same time range. */
  address: (kind, name, query) => address(kind, name, { ...carried(state.query), compare: state.query.compare, ...query }),
  go: (kind, name) => { location.hash = page.address(kind, name); },
  /** Changes members of this view's query. */
  change: (members) => { location.hash = address(state.view, state.name, { ...state.query, ...members }); },
  /** Shows a part of a chart, in seconds, rounded outwards to minutes. */
  zoom: (low, high) => page.change({ window: "", from: minute(Math.floor(low / 60)), to: minute(Math.ceil(high / 60)) }),
  /** Says something once per view and time range, not at each refresh. */
  announce: (text) => {
    if (announced === location.hash && !text.includes("found") && !text.includes("begins")) return;
    announced = location.hash;
    say(text);
  },
  failed: (error) => { if (error.status === 401) refused(error); },
  /** The clients and APIs that the caller is confined to, by kind; null if it may read all, or is not known yet. */
  own: () => caller && ownNames(caller.scopes),
  /** Whether the caller may open the view of a client or an API. */
  reads: (kind, name) => !page.own() || isOneOf(page.own()[kind], name),
};

const minute = (n) => `${new Date(n * 60e3).toISOString().slice(0, 16)}:00Z`;
const updated = clock();
const askToken = tokens(() => {
  caller = null;
  viewed = "";
  route();
});

function makeView({ view: kind, name }) {
  if (name !== null && !askable(name)) {
    return nothing(page, "This name cannot be asked for", `Browsers take “${name}” in an address for a folder. The API answers for it: see the reference.`, [["Clients", "clients"]]);
  }
  const names = page.own();
  const confined = names && kind !== "client" && !(names.api.length && ["api", "reports"].includes(kind));
  if (confined) return own(page, names);
  switch (kind) {
    case "client": case "api": return subject(page, kind, name);
    case "clients": return list(page, "client");
    case "apis": return list(page, "api");
    case "reports": return reports(page);
    default: return overview(page);
  }
}

function showView(made) {
  view?.destroy();
  view = made;
  byId("main").replaceChildren(view.element);
  document.title = `${view.title} · logrouter`;
}

function route() {
  const parsed = parse(location.hash);
  if (!parsed && location.hash === "#main") return;
  state = parsed || { view: "nowhere", name: null, query: {} };
  renderTools();
  const wanted = JSON.stringify([state.view, state.name]);
  if (wanted !== viewed) {
    const first = viewed === "";
    viewed = wanted;
    showView(parsed ? makeView(state) : nothing(page, "Nothing is here", "This page has no such address.", [["Start page", "overview"]]));
    if (!first) {
      scrollTo(0, 0);
      view.element.querySelector("h1")?.focus({ preventScroll: true });
    }
  }
  refresh();
}

async function refresh() {
  clearTimeout(timer);
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  byId("badge").dataset.busy = "";
  let wait = refreshInterval(state.query);
  try {
    if (!caller) {
      caller = await get(["whoami"], {}, signal);
      byId("token").hidden = caller.open && !hasToken();
      byId("token").title = `You are ${caller.name}`;
      // What this caller may see may be another view than the one that was made before it was known.
      if (page.own() && state.view !== "client" && !REPLACEMENTS[viewed]) showView(makeView(state));
    }
    const answers = await view.load(state.query, signal);
    if (signal.aborted) return;
    const failed = answers.some((answer) => answer === null);
    show(failed ? { state: "failed", text: "Not all could be updated" } : judge(answers));
    if (!failed) updated();
    if (failed) wait = Math.min(wait, 5e3);
  } catch (error) {
    if (error.name === "AbortError" || signal.aborted) return;
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401) return refused(error);
    if (REPLACEMENTS[error.kind]) wait = showInstead(error);
    else {
      wait = Math.min(wait, (error.retryAfter || 5) * 1000);
      show(judge([], error));
    }
  } finally {
    delete byId("badge").dataset.busy;
  }
  if (!paused && !document.hidden) timer = setTimeout(refresh, wait);
}

function refused(error) {
  show({ state: "failed", text: "A token is needed", title: error.message });
  byId("token").hidden = false;
  // That a token goes into a header is for those who write clients; all else the server says is for who reads this.
  const why = error.message.includes("Authorization") ? "" : ` The server says: ${error.message}.`;
  askToken(hasToken() ? `The token was refused: ${error.message}.` : `These figures are shown to callers with a token.${why}`);
}

/** What stands in the place of a view, by the kind of error that keeps it from being shown. */
const REPLACEMENTS = {
  "unknown-subject": () => {
    const word = state.view === "client" ? "client" : "API";
    return {
      state: { state: "fresh", text: "Up to date" },
      title: `No such ${word}`,
      text: `Nothing was ever counted for “${state.name}”. Names must be exact, capital letters included; the search above finds them by their beginning.`,
      links: [[`All ${word}s`, `${state.view}s`]],
      wait: 10e3,
    };
  },
  "not-allowed": () => ({
    state: { state: "failed", text: "Not allowed" },
    title: "Your token does not allow this",
    text: "It does not show whether there is anything here. Another token can be given above.",
    links: [["What it allows", "overview"]],
    wait: 60e3,
  }),
};

/** Shows why a view cannot be shown, and asks again later: it is made anew when it can. Returns after how long. */
function showInstead(error) {
  const { state: badge, title, text, links, wait } = REPLACEMENTS[error.kind]();
  show({ ...badge, title: error.message });
  if (viewed === error.kind) return wait;
  viewed = error.kind;
  if (error.status === 403) caller = null;
  say(title);
  showView({ ...nothing(page, title, text, links), load: retryView });
  return wait;
}

async function retryView(_, signal) {
  const many = { client: "clients", api: "apis" }[state.view];
  await get(many ? [many, state.name] : [page.own()?.api.length ? "apis" : "clients"], many ? {} : { limit: 1, ...timeRange(state.query) }, signal);
  viewed = "";
  route();
  return [];
}

function renderTools() {
  const entries = [["overview", "Overview"], ["clients", "Clients"], ["apis", "APIs"], ["reports", "Reports"]];
  const here = { client: "clients", api: "apis" }[state.view] || state.view;
  replace(byId("nav"), entries.map(([kind, text]) => h("li", null, h("a", { href: page.address(kind, null), "data-key": kind, "aria-current": kind === here ? "page" : null }, text))));
  const chosen = state.query.from ? "custom" : timeRange(state.query).window;
  const members = { ...state.query, from: "", to: "", after: "" };
  replace(byId("windows"),
    Object.entries(WINDOWS).map(([key, text]) => h("a", {
      href: address(state.view, state.name, { ...members, window: key === DEFAULT_WINDOW ? "" : key }), "data-key": key,
      "aria-current": key === chosen ? "true" : null, "aria-label": `Last ${text}`,
    }, key)),
    h("button", { type: "button", "data-key": "custom", "aria-expanded": String(!byId("custom").hidden), "aria-controls": "custom", "aria-current": chosen === "custom" ? "true" : null, onclick: toggleCustom }, "Custom"));
  if (chosen === "custom") {
    byId("custom").hidden = false;
    byId("custom").elements.from.value = state.query.from.slice(0, 16);
    byId("custom").elements.to.value = (state.query.to || "").slice(0, 16);
  } else byId("custom").hidden = true;
}

function toggleCustom() {
  const form = byId("custom");
  form.hidden = !form.hidden;
  byId("windows").querySelector("button").setAttribute("aria-expanded", String(!form.hidden));
  if (form.hidden) return;
  if (!form.elements.from.value) form.elements.from.value = new Date(Date.now() - 6 * 3600e3).toISOString().slice(0, 16);
  form.elements.from.focus();
}

byId("custom").addEventListener("submit", (event) => {
  event.preventDefault();
  const [from, to] = ["from", "to"].map((name) => event.target.elements[name].value);
  const wrong = to && to <= from;
  byId("custom-fault").textContent = wrong ? "The end must come after the beginning." : "";
  if (!wrong) page.change({ window: "", after: "", from: `${from.slice(0, 16)}:00Z`, to: to ? `${to.slice(0, 16)}:00Z` : "" });
});

const THEMES = { auto: "Auto", light: "Light", dark: "Dark" };

function switchTheme(next) {
  const root = document.documentElement;
  const order = Object.keys(THEMES);
  const now = root.dataset.theme || "auto";
  const chosen = next ? order[(order.indexOf(now) + 1) % order.length] : now;
  if (chosen === "auto") delete root.dataset.theme;
  else root.dataset.theme = chosen;
  try {
    if (next) localStorage.setItem("logrouter.theme", chosen);
  } catch {
    // Storage may be forbidden; the choice then ends with the page.
  }
  replace(byId("theme"), `◐ ${THEMES[chosen]}`);
  byId("theme").setAttribute("aria-label", `Theme: ${THEMES[chosen]}`);
  window.dispatchEvent(new Event("themechange"));
}

byId("theme").addEventListener("click", () => switchTheme(true));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => window.dispatchEvent(new Event("themechange")));
byId("refresh").addEventListener("click", refresh);
byId("pause").addEventListener("click", ({ currentTarget: button }) => {
  paused = !paused;
  button.setAttribute("aria-pressed", String(paused));
  button.textContent = paused ? "Resume" : "Pause";
  if (paused) clearTimeout(timer);
  else refresh();
});
document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (!document.hidden && !paused) refresh();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("main").focus();
});
window.addEventListener("hashchange", route);
window.addEventListener("online", refresh);

switchTheme(false);
search(page);
route();
