// The dialog that asks for a token, once, when the API wants one.

import { hasToken, useToken } from "./api.js";
import { byId } from "./dom.js";

/** Makes the dialog work; *changed* is called when there is another token, or none. Returns the function that opens it. */
export function tokens(changed) {
  const dialog = byId("token-dialog");
  const field = byId("token-value");
  const open = (why) => {
    byId("token-why").textContent = why;
    byId("token-forget").hidden = !hasToken();
    field.value = "";
    if (!dialog.open) dialog.showModal();
  };
  byId("token-form").addEventListener("submit", () => {
    useToken(field.value.trim());
    changed();
  });
  byId("token-forget").addEventListener("click", () => {
    useToken(null);
    dialog.close();
    changed();
  });
  byId("token-cancel").addEventListener("click", () => dialog.close());
  byId("token").addEventListener("click", () => open("Another token can be given here, or this one forgotten."));
  dialog.addEventListener("close", () => {
    field.value = "";
  });
  return open;
}

/** The clients and APIs that a caller may read, if it may not read all of them; null if it may. */
export function ownNames(scopes) {
  if (scopes.includes("usage:read") || scopes.includes("admin")) return null;
  const behind = (prefix) => scopes.filter((scope) => scope.startsWith(prefix)).map((scope) => scope.slice(prefix.length));
  return {
    client: behind("usage:read:client=").map((text) => [decoded(text)]),
    api: behind("usage:read:api=").map((text) => text.split("*").map(decoded)),
  };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Whether a name is one of those that are given by their parts, between which any characters may stand. */
export const isOneOf = (given, name) => given.some((parts) => fits(parts, name));

function fits([first, ...rest], name) {
  if (!rest.length) return name === first;
  const last = rest.pop();
  let at = first.length;
  // What is nobody's is in no pattern.
  if (name === "-" || at + last.length > name.length || !name.startsWith(first) || !name.endsWith(last)) return false;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= name.length - last.length;
}
