// The search field: names that begin with what is typed, chosen by keyboard or pointer (the combobox pattern of ARIA).

import { get } from "./api.js";
import { byId, h, replace } from "./dom.js";
import * as format from "./format.js";

const PAUSE = 150;
const MOST = 8;

/** Makes the search field work; *page* opens what is chosen. */
export function search(page) {
  const input = byId("search");
  const list = byId("found");
  let options = [];
  let active = -1;
  let timer = 0;
  let asking = null;

  function close() {
    clearTimeout(timer);
    asking?.abort();
    options = [];
    active = -1;
    list.hidden = true;
    list.replaceChildren();
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function choose(option) {
    close();
    input.value = "";
    page.go(option.kind, option.name);
  }

  function mark(index) {
    active = index;
    [...list.querySelectorAll("[role=option]")].forEach((element, at) => element.setAttribute("aria-selected", String(at === index)));
    const element = index < 0 ? null : byId(`found-${index}`);
    if (element) {
      input.setAttribute("aria-activedescendant", element.id);
      element.scrollIntoView({ block: "nearest" });
    } else input.removeAttribute("aria-activedescendant");
  }

  function show(found, note) {
    options = found;
    replace(list, options.map((option, at) => h("li", { id: `found-${at}`, role: "option", "aria-selected": "false", onmousedown: (event) => event.preventDefault(), onclick: () => choose(option) },
      h("span", { class: "kind" }, option.kind === "client" ? "client" : "API"), h("span", { class: "name" }, option.exact ? `open “${option.name}”` : format.named(option.kind, option.name)),
      option.count === undefined ? null : h("span", { class: "muted" }, format.short(option.count)))),
    note && h("li", { class: "note muted", role: "presentation" }, note));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    page.announce(note || format.plural(options.filter((option) => !option.exact).length, "name found", "names found"));
    mark(-1);
  }

  /** What is opened by its whole name: a client, or an API where the caller may read APIs alone. */
  function whole(name) {
    const own = page.own();
    return { kind: own && !own.client.length && own.api.length ? "api" : "client", name };
  }

  async function ask() {
    const text = input.value;
    if (!text.trim()) {
      close();
      return;
    }
    asking?.abort();
    asking = new AbortController();
    const { signal } = asking;
    const question = { prefix: text, window: "life", limit: MOST, partial: "allow" };
    try {
      // Who may read certain clients or APIs alone may not list the others: asking would only be refused.
      const own = page.own();
      const both = [
        own && !own.client.length ? { clients: [] } : get(["clients"], question, signal),
        own && !own.api.length ? { apis: [] } : get(["apis"], { ...question, limit: 4 }, signal),
      ];
      const [clients, apis] = await Promise.all(both);
      if (signal.aborted) return;
      const found = [
        ...clients.clients.map((row) => ({ kind: "client", name: row.client_id, count: row.count })),
        ...apis.apis.map((row) => ({ kind: "api", name: row.api, count: row.count })),
      ];
      const named = whole(text);
      const exact = found.some((option) => option.kind === named.kind && option.name === text) ? [] : [{ ...named, exact: true }];
      show([...found, ...exact], found.length ? null : "No name begins so; capital letters matter.");
    } catch (error) {
      if (error.name === "AbortError") return;
      page.failed(error);
      // An id that is known can be opened all the same: one client is asked of one worker.
      show([{ ...whole(text), exact: true }], "The search does not answer.");
    }
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE);
  });
  input.addEventListener("keydown", (event) => {
    const moves = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key === "Escape") {
      if (list.hidden) input.value = "";
      close();
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (active >= 0) choose(options[active]);
      else if (input.value.trim()) choose(whole(input.value.trim()));
    } else if (moves[event.key] && options.length) {
      event.preventDefault();
      mark((active + moves[event.key] + options.length + (active < 0 && event.key === "ArrowUp" ? 1 : 0)) % options.length);
    }
  });
  input.addEventListener("blur", close);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) return;
    event.preventDefault();
    input.focus();
  });
}
