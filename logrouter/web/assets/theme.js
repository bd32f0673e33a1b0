// Runs before the page is drawn, so that it is never drawn in the wrong theme.
"use strict";
try {
  const chosen = localStorage.getItem("logrouter.theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage may be forbidden; then the system's theme is the only one.
}
