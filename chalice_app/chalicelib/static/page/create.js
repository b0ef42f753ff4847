// The form for a new task, made from what each kind says of its payload.

import { call, requestKey } from "./api.js";
import { el, put } from "./dom.js";
import { poll } from "./poll.js";
import { shown } from "./problem.js";
import { go } from "./route.js";
import { describe, field, text, unsay } from "./fields.js";
import { payload } from "./schema.js";

/** Show the page. */
export function create(view, { query }) {
  view.title("New task");
  const place = el("div");
  put(view.main, el("h1", {}, "New task"), place);
  poll(async () => {
    const { body } = await call("GET", "kinds", { signal: view.signal });
    put(place, form(body.items, query.kind, view.signal));
    place.querySelector("input").focus();
    return null;
  }, view.failed, view.signal);
}

function form(kinds, wanted, signal) {
  const known = kinds.find(({ kind }) => kind === wanted) ?? kinds.find(({ kind }) => kind === "default") ?? kinds[0];
  const kind = el("select", { id: "kind" }, kinds.map((one) =>
    el("option", { value: one.kind, selected: one === known }, one.kind)));
  const about = el("p", { class: "hint" });
  const data = el("div");
  let read = payload(null, "#/payload");
  const choose = () => {
    const chosen = kinds.find((one) => one.kind === kind.value);
    put(about, chosen.description ?? "");
    read = payload(chosen.payload, "#/payload");
    put(data, read.element);
  };
  kind.addEventListener("change", choose);
  choose();
  const own = [
    text("title", "Title", { required: true, maxlength: 255 }),
    text("description", "Description", { lines: 2 }),
    text("tags", "Tags", { hint: "Up to ten, with spaces between them." }),
    text("run_at", "Begin at", { type: "datetime-local", hint: "In your own time; at once if left empty." }),
    text("unique_key", "Unique key", { hint: "While a task with it is open, that one is shown instead of a new one." }),
  ];
  const [title, description, ...more] = own;
  const outcome = el("div");
  const submit = el("button", { type: "submit", class: "main" }, "Create the task");
  let name = requestKey();
  const gather = () => {
    const values = Object.fromEntries(own.map((one) => [one.name, one.value()]));
    const found = { ...values, kind: kind.value, payload: read.value() };
    if (values.tags) found.tags = values.tags.split(/[\s,]+/).filter(Boolean);
    return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
  };
  const send = async (event) => {
    event.preventDefault();
    const places = event.currentTarget.querySelectorAll("[data-pointer]");
    clear(places);
    submit.disabled = true;
    try {
      const headers = { "Idempotency-Key": name };
      const { body } = await call("POST", "tasks", { body: gather(), headers, signal });
      go(`tasks/${body.id}`);
    } catch (error) {
      if (signal.aborted) return;
      // Nothing was made of what the service refused; of the rest nobody knows, and the name stays.
      if (error.status === 422) name = requestKey();
      put(outcome, error.pointer ? null : shown(error));
      mark(places, error.pointer ? [error] : error.errors ?? []);
    } finally {
      submit.disabled = false;
    }
  };
  return el("form", { class: "create", novalidate: true, submit: send, input: () => { name = requestKey(); } },
    field("Kind", kind, about), title.element, description.element,
    el("section", { class: "data" }, el("h2", {}, "Payload"), data),
    el("details", {}, el("summary", {}, "More: tags, a time to begin, a unique key"), more.map((one) => one.element)),
    outcome, el("div", { class: "actions" }, submit));
}

function clear(places) {
  for (const place of places) {
    for (const wrong of place.querySelectorAll(":scope > .wrong")) unsay(told(place), wrong);
    place.querySelector("input, textarea, select")?.removeAttribute("aria-invalid");
  }
}

// Of a group of fields it is said of the group.
function told(place) {
  return place.matches(".field") ? place.querySelector("input, textarea, select") : place;
}

// A rule that is broken is shown at its field, or at the nearest one around it.
function mark(places, errors) {
  const all = [...places];
  let first = null;
  for (const { pointer: named, detail } of errors) {
    const pointer = named && decodeURIComponent(named);
    const fitting = all.filter((place) => pointer === place.dataset.pointer || pointer?.startsWith(`${place.dataset.pointer}/`));
    const place = fitting.sort((a, b) => b.dataset.pointer.length - a.dataset.pointer.length)[0];
    if (!place) continue;
    const rest = pointer === place.dataset.pointer ? "" : `${pointer.slice(place.dataset.pointer.length + 1)}: `;
    const own = place.querySelector("input, textarea, select");
    own?.setAttribute("aria-invalid", "true");
    const wrong = el("p", { class: "wrong" }, `${rest}${detail}`);
    describe(told(place), wrong);
    place.append(wrong);
    for (let box = place.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
    first ??= own;
  }
  first?.focus();
}
