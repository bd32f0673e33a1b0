// Charts by uPlot: stacked bars and lines over time, each with a legend that tells values and a table that says the same.

import { h, replace, table } from "./dom.js";
import * as format from "./format.js";

const HEIGHT = 220;
const CLOCK = { minute: 60, hour: 3600, day: 86400 };

/** What a colour variable is at the moment: a canvas needs the colour itself. */
function colour(name) {
  const probe = document.getElementById("probe") || document.body.appendChild(h("span", { id: "probe", hidden: true }));
  probe.style.setProperty("color", `var(--${name})`);
  return getComputedStyle(probe).color;
}

/**
 * A figure that is filled by `update({from, step, times, keys, rows, open})`: *from* and *times* in seconds, *rows* by key.
 * *times* are where steps begin, *from* is where the first of them is counted from, *open* whether the last one still grows.
 * *options*: `{title, stacked, label(key), tint(key), value(n), total(key, row), onselect(from, to)}`.
 */
export function chart(options) {
  const legend = h("ul", { class: "legend", "aria-hidden": "true" });
  const plot = h("div", { class: "plot", tabindex: "0", role: "img", "aria-label": options.title });
  const spoken = h("p", { class: "unseen", "aria-live": "polite" });
  const holder = h("div", { class: "scroll", tabindex: "0" });
  const details = h("details", { class: "astable" }, h("summary", null, "As a table"), holder);
  const element = h("figure", { class: "chart" }, legend, plot, spoken, details);
  let shown = null;
  let made = null;
  let shape = "";

  function tell(index) {
    replace(legend, shown.keys.map((key) => {
      const mark = h("span", { class: "mark" });
      mark.style.setProperty("background", `var(--${options.tint(key)})`);
      const value = index === null ? options.total(key, shown) : shown.rows[key][index];
      return h("li", null, mark, options.label(key), " ", h("b", null, value === null || value === undefined ? "–" : options.value(value)));
    }), h("li", { class: "when muted" }, index === null ? `since ${format.time(shown.from * 1000)}` : moment(index)));
  }

  const moment = (index) => `${format.time((index ? shown.times[index] : shown.from) * 1000)}${index === shown.times.length - 1 && shown.open ? ", still growing" : ""}`;

  function say(index) {
    spoken.textContent = `${moment(index)}: ${shown.keys.map((key) => `${options.label(key)} ${shown.rows[key][index] === null ? "none" : options.value(shown.rows[key][index])}`).join(", ")}`;
  }

  function fill() {
    const columns = [{ title: `Begin (${shown.step}, UTC)` }, ...shown.keys.map((key) => ({ title: options.label(key), number: true }))];
    const rows = shown.times.map((_, at) => [moment(at), ...shown.keys.map((key) => (shown.rows[key][at] === null ? "–" : options.value(shown.rows[key][at])))]);
    replace(holder, table(options.title, columns, rows.reverse()));
  }

  function draw() {
    if (!window.uPlot) {
      plot.remove();
      details.open = true;
      if (!element.querySelector(".notice")) legend.after(h("p", { class: "notice" }, "The charting library is missing on this server, so here are the figures as a table."));
      return;
    }
    const key = `${shown.keys.join()} ${shown.step}`;
    if (made && key === shape) {
      made.setData(data());
      return;
    }
    made?.destroy();
    shape = key;
    made = new window.uPlot(settings(), data(), plot);
  }

  function data() {
    if (!options.stacked) return [shown.times, ...shown.keys.map((key) => shown.rows[key])];
    // Each bar reaches from the bottom to the sum of its own and all lower ones; the highest is drawn first.
    const sums = [];
    let below = shown.times.map(() => 0);
    for (const key of shown.keys) {
      below = below.map((n, at) => n + shown.rows[key][at]);
      sums.unshift(below);
    }
    return [shown.times, ...sums];
  }

  function settings() {
    const { paths } = window.uPlot;
    const order = options.stacked ? [...shown.keys].reverse() : shown.keys;
    const series = order.map((key) => (options.stacked
      ? { paths: paths.bars({ size: [0.86, 48], align: 1 }), width: 0, fill: () => colour(options.tint(key)), points: { show: false } }
      : { stroke: () => colour(options.tint(key)), width: 2, points: { show: true, size: 5, fill: () => colour(options.tint(key)), filter: (_, at) => lonely(shown.rows[order[at - 1]]) }, spanGaps: false }));
    const axis = { stroke: () => colour("muted"), grid: { stroke: () => colour("line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    return {
      width: Math.max(plot.clientWidth, 80),
      height: HEIGHT,
      legend: { show: false },
      tzDate: (seconds) => window.uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      padding: [10, 18, 0, 0], // half a time fits behind the last one
      scales: {
        x: { time: true, range: () => [shown.times[0], shown.times.at(-1) + CLOCK[shown.step]] },
        y: { range: (_, __, most) => [0, most > 0 ? most * 1.06 : 1] },
      },
      axes: [
        { ...axis, size: 30, space: 70, grid: { show: false }, values: (_, ticks) => ticks.map(tick) },
        { ...axis, size: 58, space: 36, values: (_, ticks) => ticks.map((n) => (Number.isInteger(n) || !options.stacked ? options.short(n) : "")) },
      ],
      cursor: { y: false, points: { show: !options.stacked, size: 7 }, drag: { x: Boolean(options.onselect), y: false, setScale: false } },
      series: [{}, ...series],
      hooks: {
        setCursor: [({ cursor }) => tell(cursor.idx ?? null)],
        setSelect: [(self) => {
          if (self.select.width < 4) return;
          const [low, high] = [self.select.left, self.select.left + self.select.width].map((at) => self.posToVal(at, "x"));
          self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          options.onselect(low, high);
        }],
      },
    };
  }

  function tick(seconds) {
    const text = format.time(seconds * 1000);
    const [day, month, clock] = [...text.split(" ").slice(0, 2), text.split(" ").at(-1)];
    return clock === "00:00" || shown.step === "day" ? `${day} ${month}` : clock;
  }

  plot.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -1e9, End: 1e9 }[event.key];
    if (!step || !made) return;
    event.preventDefault();
    const last = shown.times.length - 1;
    const index = Math.max(0, Math.min(last, (made.cursor.idx ?? last + (step < 0 ? 1 : 0)) + step));
    made.setCursor({ left: made.valToPos(shown.times[index], "x") + 1, top: 0 });
    say(index);
  });
  plot.addEventListener("blur", () => made?.setCursor({ left: -10, top: -10 }));
  details.addEventListener("toggle", () => details.open && shown && fill());
  const resized = new ResizeObserver(() => made?.setSize({ width: Math.max(plot.clientWidth, 80), height: HEIGHT }));
  resized.observe(plot);
  const themed = () => made?.redraw(false);
  window.addEventListener("themechange", themed);

  return {
    element,
    update(figures) {
      shown = figures;
      draw();
      if (!made || (made.cursor.idx ?? null) === null) tell(null);
      if (details.open || !window.uPlot) fill();
    },
    destroy() {
      resized.disconnect();
      window.removeEventListener("themechange", themed);
      made?.destroy();
    },
  };
}

const LATENCIES = ["p50", "p95", "p99"];
const ORDER = ["2xx", "3xx", "1xx", "4xx", "5xx", "0xx", "none"];
const sum = (key, { rows }) => rows[key].reduce((a, b) => a + b, 0);

/** The times of points as a chart has them: where the steps of the clock begin. The first is cut to the time range. */
function axes(answer, points) {
  const width = CLOCK[answer.step];
  const times = points.map((text) => Math.floor(Date.parse(text) / 1000 / width) * width);
  return { step: answer.step, from: Date.parse(answer.from) / 1000, times, open: Date.parse(answer.to) / 1000 < times.at(-1) + width };
}

/** Places of values without neighbours, which no line would show. */
const lonely = (row) => [...row.keys()].filter((at) => row[at] !== null && (row[at - 1] ?? null) === null && (row[at + 1] ?? null) === null);

/** Requests over time, stacked by the classes of their status. */
export function requestsChart(onselect) {
  const made = chart({
    title: "Requests over time by class of status. Arrow keys move through it.",
    stacked: true, onselect, label: format.statusClass, tint: (key) => `c${key}`, value: format.count, short: format.short, total: sum,
  });
  return { ...made, update: (answer) => made.update({ ...timed(answer), ...split(answer, ORDER) }) };
}

/** Percentiles of latency over time. */
export function latencyChart(onselect) {
  const made = chart({
    title: "Percentiles of latency over time. Arrow keys move through it.",
    stacked: false, onselect, label: (key) => `${key.slice(1)} % of requests within`, tint: (key) => key, value: format.millis, short: format.millis,
    total: (key, { whole }) => whole?.[key] ?? null,
  });
  return {
    ...made,
    update(answer, whole) {
      const rows = Object.fromEntries(LATENCIES.map((key) => [key, answer.points.map((point) => point.latency_ms?.[key] ?? null)]));
      made.update({ ...timed(answer), keys: LATENCIES, rows, whole });
    },
  };
}

/** Calls over time, stacked by API: the report's answer has its points in another shape. */
export function callsChart(onselect) {
  const made = chart({
    title: "Calls over time by API. Arrow keys move through it.",
    stacked: true, onselect, label: (key) => format.named("api", key), tint: (key) => tints.get(key), value: format.count, short: format.short, total: sum,
  });
  let tints = new Map();
  return {
    ...made,
    update(answer) {
      const largest = answer.apis.slice(0, 7);
      const rest = answer.times.map((_, at) => (answer.other?.[at] || 0) + answer.apis.slice(7).reduce((n, api) => n + api.points[at], 0));
      const rows = Object.fromEntries([...largest.map(({ api, points }) => [api, points]), ...(rest.some(Boolean) ? [["~other", rest]] : [])]);
      const keys = [...new Set([...largest.map(({ api }) => api), ...Object.keys(rows).filter((key) => key === "~other")])];
      tints = new Map(keys.map((key, at) => [key, key === "~other" ? "cnone" : `k${at}`]));
      made.update({ ...axes(answer, answer.times), keys, rows });
    },
  };
}

const timed = (answer) => axes(answer, answer.points.map((point) => point.time));

/** Points by status as rows by class, in *order*; requests without a status are a class, too, so that bars are whole. */
function split(answer, order) {
  const rows = new Map();
  const add = (key, at, n) => {
    if (!n) return;
    if (!rows.has(key)) rows.set(key, answer.points.map(() => 0));
    rows.get(key)[at] += n;
  };
  answer.points.forEach((point, at) => {
    let known = 0;
    for (const [code, n] of Object.entries(point.by)) {
      add(format.classOf(code), at, n);
      known += n;
    }
    add("none", at, point.count - known);
  });
  if (!rows.size) rows.set(order[0], answer.points.map(() => 0));
  const keys = [...order.filter((key) => rows.has(key)), ...[...rows.keys()].filter((key) => !order.includes(key))];
  return { keys, rows: Object.fromEntries(rows) };
}
