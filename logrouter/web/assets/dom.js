// Elements without markup: text from logs becomes text nodes, and there is no other way to show anything.

/** An element. Properties that are functions are listeners (`onclick`); null and false ones are left out. */
export function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

/** Adds children: elements as they are, all else as text. */
export function append(element, children) {
  for (const child of children.flat(9)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
}

/** Puts *children* in the place of what is there; the focus stays on what has the same `data-key`. */
export function replace(element, ...children) {
  const focused = document.activeElement;
  const key = focused && element.contains(focused) ? focused.dataset.key : undefined;
  const made = document.createDocumentFragment();
  append(made, children);
  element.replaceChildren(made);
  if (key !== undefined) element.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

/** The element with an id, which is in index.html. */
export const byId = (id) => document.getElementById(id);

/** Says something to screen readers, once. */
export function say(text) {
  const region = byId("said");
  if (region.textContent !== text) region.textContent = text;
}

/** A table. *columns* are `{title, number, wide}`; *rows* are lists of cells, the first of which names the row. */
export function table(caption, columns, rows, properties) {
  const kind = (column) => (column.number ? "number" : column.wide ? "wide" : null);
  return h("table", properties,
    h("caption", { class: "unseen" }, caption),
    h("thead", null, h("tr", null, columns.map((column) =>
      h("th", { scope: "col", class: kind(column), "aria-sort": column.sorted ? "descending" : null }, column.title)))),
    h("tbody", null, rows.map((row) => h("tr", null, row.map((cell, at) =>
      h(at ? "td" : "th", { scope: at ? null : "row", class: kind(columns[at]) }, cell))))));
}

/** A number with a bar as long as a share (0 to 1); the bar is decoration, the number says the same. */
export function bar(share, text, kind) {
  const element = h("span", { class: `share ${kind || ""}`, "aria-hidden": "true" });
  element.style.setProperty("--share", `${Math.max(0, Math.min(1, share || 0)) * 100}%`);
  return [element, h("span", { class: "n" }, text)];
}
