// Speaks to the service that this page came from.

import * as keys from "./key.js";
import { Problem } from "./problem.js";
import { setClock } from "./times.js";

/** The service's address, with its stage, ending with a slash. */
export const root = new URL(".", import.meta.url).href;

/**
 * Send a request. Returns its `body` and the `text` that it is read from, `status`, `etag`, and
 * `wait`, the seconds of Retry-After.
 * Throws a Problem, or an AbortError. Asks for a key where one is needed, and then once more.
 */
export async function call(method, path, { query, body, headers = {}, signal } = {}) {
  const url = new URL(path, root);
  for (const [name, value] of Object.entries(query ?? {})) if (value) url.searchParams.set(name, value);
  const request = { method, headers: { ...headers }, signal, cache: "no-store", credentials: "omit" };
  if (body !== undefined) {
    request.body = JSON.stringify(body);
    request.headers["Content-Type"] = "application/json";
  }
  for (;;) {
    const key = keys.key();
    if (key) request.headers.Authorization = `Bearer ${key}`;
    else delete request.headers.Authorization;
    const answer = await send(url, request);
    if (!(answer instanceof Problem)) return answer;
    // Another request may have asked, and been given one, meanwhile.
    const again = answer.status === 401 && (keys.key() !== key || (await keys.ask(answer.detail)));
    if (!again || signal?.aborted) throw answer;
  }
}

async function send(url, request) {
  let response;
  let text;
  try {
    response = await fetch(url, request);
    text = await response.text();
  } catch (error) {
    if (request.signal?.aborted) throw error;
    return new Problem(0);
  }
  const date = Date.parse(response.headers.get("Date"));
  if (date) setClock(date);
  const wait = Number(response.headers.get("Retry-After")) || 0;
  const { status } = response;
  const content = read(text);
  if (!response.ok && status !== 304) return new Problem(status, content, wait);
  return { status, body: content, text, etag: response.headers.get("ETag"), wait };
}

function read(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

/** Return a name for a request, so that it counts once however often it is sent. */
export function requestKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `"${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}"`;
}
