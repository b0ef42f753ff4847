// The list of tasks: filters, pages, and many tried again at once.

import { call } from "./api.js";
import { el, put, redraw } from "./dom.js";
import { filters } from "./filters.js";
import { firstTask } from "./first.js";
import { poll, wake } from "./poll.js";
import { retrying } from "./retry.js";
import { go, link } from "./route.js";
import { badge, tags } from "./status.js";
import { ago } from "./times.js";

const EVERY = 5;
const SIZE = 50;

/** Show the page; returns what is called when the filter in the address changes. */
export function tasks(view, { query: asked }) {
  view.title("All tasks");
  let query = asked;
  const form = filters(query, (changed) => go("tasks", changed, { replace: true }), view.signal);
  const body = el("tbody");
  const head = ["Status", "Task", "Kind", "Attempts", "Created"];
  const table = el("table", { class: "tasks" },
    el("caption", { class: "quiet" }, "Tasks, the newest first"),
    el("thead", {}, el("tr", {}, head.map((name) => el("th", { scope: "col" }, name)))), body);
  const empty = el("div");
  const pages = el("nav", { class: "pages", "aria-label": "Pages of the list" });
  const many = retrying(view, wake);
  many.at(query);
  put(view.main, el("h1", {}, "All tasks"), form.element, many.element, table, empty, pages);
  const rows = new Map();
  const look = async () => {
    const now = query;
    const found = await call("GET", "tasks", { query: { ...now, limit: SIZE }, signal: view.signal });
    if (now !== query) return 0;
    const { items, next_cursor: next } = found.body;
    show(body, rows, items, now);
    table.hidden = items.length === 0;
    const more = next !== null;
    redraw(empty, items.length ? null : [now, more], () => [items.length ? null : nothing(now, more)]);
    many.show(now, items.length, more);
    redraw(pages, [now, next], () => around(now, next));
    // What is older than a page does not change by new tasks.
    return now.cursor ? 4 * EVERY : EVERY;
  };
  poll(look, view.failed, view.signal);
  return (changed) => {
    query = changed;
    form.show(query);
    many.at(query);
    wake();
  };
}

// Rows are kept while their tasks are shown, and with them the focus.
function show(body, rows, items, query) {
  const ids = new Set(items.map((item) => item.id));
  for (const id of rows.keys()) if (!ids.has(id)) rows.delete(id);
  items.forEach((item, at) => {
    const version = JSON.stringify([item.updated_at, item.status, { ...query, cursor: "" }]);
    let row = rows.get(item.id);
    if (row?.version !== version) {
      const made = { version, element: drawn(item, query) };
      if (row) row.element.replaceWith(made.element);
      row = made;
      rows.set(item.id, row);
    }
    if (body.children[at] !== row.element) body.insertBefore(row.element, body.children[at] ?? null);
  });
  while (body.children.length > items.length) body.lastElementChild.remove();
}

function drawn(item, query) {
  const tagged = (tag) => link("tasks", { ...query, cursor: "", tag });
  return el("tr", {},
    el("td", {}, badge(item.status)),
    el("td", { class: "what" },
      el("a", { href: link(`tasks/${item.id}`) }, item.title), " ",
      el("span", { class: "id" }, `#${item.id}`), " ", tags(item.tags, tagged),
      item.status === "failed" || item.status === "retrying" ? reason(item) : null),
    el("td", { class: "kind" }, item.kind),
    el("td", { class: "attempts" }, `${item.attempt} of ${item.attempt_limit}`),
    el("td", { class: "when" }, ago(item.created_at)));
}

function reason({ error }) {
  return error && el("p", { class: "reason" }, error.class ? `${error.class}: ` : "", error.message ?? error.code);
}

function nothing(query, more) {
  // The service looks at a bounded number of tasks for one page.
  if (more) return el("p", { class: "empty" }, "None of the tasks that were looked at fits this filter; there are older ones.");
  const filtered = Object.entries(query).some(([name, value]) => name !== "cursor" && value);
  if (query.cursor) {
    return el("p", { class: "empty" }, "There is nothing more. ",
      el("a", { href: link("tasks", { ...query, cursor: "" }) }, "Back to the newest"));
  }
  if (!filtered) return firstTask();
  return el("p", { class: "empty" }, "No task fits this filter. ",
    el("a", { href: link("tasks") }, "Show all tasks"));
}

function around(query, next) {
  return [
    query.cursor && el("a", { href: link("tasks", { ...query, cursor: "" }) }, "Newest"),
    next && el("a", { href: link("tasks", { ...query, cursor: next }) }, "Older tasks"),
  ];
}
