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

/** The clients that a caller may read, if it may not read all of them; null if it may. */
export function ownClients(scopes) {
  if (scopes.includes("usage:read") || scopes.includes("admin")) return null;
  const prefix = "usage:read:client=";
  return scopes.filter((scope) => scope.startsWith(prefix)).map((scope) => {
    try {
      return decodeURIComponent(scope.slice(prefix.length));
    } catch {
      return scope.slice(prefix.length);
    }
  });
}
