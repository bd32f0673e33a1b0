// Questions to the API. The token is kept in this tab alone and sent as a header, never in an address.

const KEY = "logrouter.token";
const KEPT = 60;
const seen = new Map(); // address -> {etag, data}: an unchanged answer is not sent again
let token = stored();

function stored() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

export const hasToken = () => Boolean(token);

export function useToken(value) {
  token = value || null;
  seen.clear();
  try {
    if (token) sessionStorage.setItem(KEY, token);
    else sessionStorage.removeItem(KEY);
  } catch {
    // Storage may be forbidden: then the token lives until the page is left.
  }
}

/** An answer that is an error, or none at all (status 0). */
export class ApiError extends Error {
  constructor(status, problem, retryAfter) {
    super(problem.detail || problem.title || `status ${status}`);
    this.status = status;
    this.problem = problem;
    this.kind = String(problem.type || "").replace("urn:logrouter:problem:", "");
    this.retryAfter = retryAfter;
  }
}

/** The address of a question, relative to the page, so that it works behind a path of a proxy as well. */
export function url(path, parameters) {
  const pairs = Object.entries(parameters || {}).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const search = new URLSearchParams(pairs).toString();
  return `v1/${path.map(encodeURIComponent).join("/")}${search ? `?${search}` : ""}`;
}

/** Whether browsers can ask for a name: they take `.` and `..` in a path, however written, for folders. */
export const askable = (name) => name !== "." && name !== ".." && name !== "";

/** How fresh an answer is, by its header, in the form that answers have; null where there is none. */
function freshness(response) {
  try {
    const { missing, lag, watermark, stale, at, holes } = JSON.parse(response.headers.get("Logrouter-Freshness"));
    return { at, stale, holes: Array.from({ length: holes || 0 }), missing: missing.map((partition) => ({ partition })), partitions: [{ lag, watermark, role: stale ? "standby" : "active" }] };
  } catch {
    return null;
  }
}

/** The answer to a question; the very same object when its figures have not changed. Throws `ApiError`. */
export async function get(path, parameters, signal) {
  const address = url(path, parameters);
  const before = seen.get(address);
  const response = await send(address, before ? { "If-None-Match": before.etag } : {}, signal);
  if (response.status === 304 && before) {
    // The figures are the same, but who answers for them, and how far behind, may not be.
    before.data.freshness = freshness(response) || before.data.freshness;
    return before.data;
  }
  const data = await body(response);
  seen.delete(address);
  const etag = response.headers.get("ETag");
  if (etag) seen.set(address, { etag, data });
  if (seen.size > KEPT) seen.delete(seen.keys().next().value);
  return data;
}

/** Saves an answer as a CSV file through memory, as a link alone sends no token; one that lacks partitions is called so. */
export async function download(address, name) {
  const response = await send(address, {}, undefined);
  if (!response.ok) await body(response);
  const file = URL.createObjectURL(await response.blob());
  const link = document.createElement("a");
  link.href = file;
  const brief = freshness(response);
  link.download = `${name}${brief?.missing.length || brief?.holes.length ? "-partial" : ""}${brief?.max_unlisted === undefined ? "" : "-inexact"}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(file), 10000);
}

async function send(address, headers, signal) {
  if (token) headers.Authorization = `Bearer ${token}`;
  try {
    return await fetch(address, { headers, signal, credentials: "omit", redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { title: "The server does not answer", detail: "No worker can be reached at this address." });
  }
}

async function body(response) {
  let read;
  try {
    read = await response.json();
  } catch {
    read = { title: `The answer (${response.status}) is not JSON` };
    if (response.ok) throw new ApiError(502, read);
  }
  if (response.ok) return read;
  throw new ApiError(response.status, read, Number(response.headers.get("Retry-After")) || undefined);
}
