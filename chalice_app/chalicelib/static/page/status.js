// The words and colours of what a task can be.

import { el } from "./dom.js";

/** Every status, in the order of a task's life. */
export const STATUSES = ["pending", "processing", "retrying", "completed", "failed", "cancelled"];

/** Those in which nothing more happens by itself. */
export const FINAL = ["completed", "failed", "cancelled"];

/** What each means, for people. */
export const MEANS = {
  pending: "waiting to be begun",
  processing: "being worked",
  retrying: "waiting for the next attempt",
  completed: "done",
  failed: "failed for good",
  cancelled: "stopped by request",
};

/** Show a status. */
export function badge(status) {
  return el("span", { class: `badge ${status}`, title: MEANS[status] }, status);
}

/** Show tags; each leads to the tasks that have it. */
export function tags(names, linked) {
  return names.map((name) => linked
    ? el("a", { class: "tag", href: linked(name) }, name)
    : el("span", { class: "tag" }, name));
}
