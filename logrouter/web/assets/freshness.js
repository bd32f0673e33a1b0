// How fresh, whole and alive what is shown is: in words, in the bar at the top.

import { byId } from "./dom.js";
import * as format from "./format.js";

const BEHIND = 2; // a lag of one or two records is a transaction's marker
const OLD = 120e3;

/** One state for all answers of a view: `{state, text, title}`; the worst of them counts. */
export function judge(answers, problem) {
  if (problem) return { state: "failed", text: problem.status === 0 ? "Offline" : "Not updated", title: problem.message };
  const fresh = answers.filter(Boolean).map((answer) => ({ partial: answer.partial, ...(answer.freshness || {}) }));
  const missing = new Set(fresh.flatMap((one) => one.missing || []).map((one) => one.partition));
  const partitions = fresh.flatMap((one) => one.partitions || []);
  if (!missing.size && fresh.some((one) => one.holes?.length)) {
    return { state: "partial", text: "Partial: requests were lost", title: "Records of some requests of this time were deleted before they were counted." };
  }
  if (missing.size || fresh.some((one) => one.partial)) {
    const list = [...missing].sort((a, b) => a - b);
    return { state: "partial", text: missing.size ? `Partial: ${format.plural(missing.size, "partition")} missing` : "Partial", title: `Partitions that did not answer: ${list.join(", ") || "unknown"}` };
  }
  if (fresh.some((one) => one.stale) || partitions.some((one) => one.role === "standby")) {
    return { state: "stale", text: "Standby answers, may be behind", title: "The owner of these figures is away; a standby's copy is shown." };
  }
  const lag = partitions.reduce((most, one) => Math.max(most, one.lag || 0), 0);
  if (lag > BEHIND) return { state: "stale", text: `${format.plural(lag, "batch", "batches")} behind`, title: "Records that are published and not counted yet." };
  const marks = partitions.map((one) => one.watermark).filter(Boolean).map(Date.parse);
  const newest = marks.length ? Math.max(...marks) : null;
  return { state: "fresh", text: "Up to date", title: newest === null ? "" : `The newest request counted is of ${format.time(newest, { seconds: true })}.`, quiet: newest !== null && Date.now() - newest > OLD ? format.ago(Date.now() - newest) : null };
}

const MARKS = { fresh: "●", loading: "○", stale: "◐", partial: "◔", failed: "✕", paused: "‖" };

/** Shows a state. */
export function show({ state, text, title, quiet }) {
  const badge = byId("badge");
  badge.dataset.state = state;
  badge.title = title || "";
  badge.textContent = `${MARKS[state]} ${text}${quiet ? `, no request for ${quiet}` : ""}`;
}

/** Tells how long ago that was, each second; returns the function that sets the moment. */
export function clock() {
  const age = byId("age");
  let at = null;
  const tick = () => {
    age.textContent = at === null ? "" : `updated ${format.ago(performance.now() - at)} ago`;
  };
  setInterval(tick, 1000);
  return () => {
    at = performance.now();
    tick();
  };
}
