// Which tasks the list shows.

import { call } from "./api.js";
import { button, el } from "./dom.js";
import { STATUSES } from "./status.js";

const PATIENCE = 300; // milliseconds after the last key

/**
 * Make the form. `changed` is called with what is asked for; `show` puts what the address says into
 * the fields, but not into the one that is being written in. Nothing is called after the `signal`.
 */
export function filters(query, changed, signal) {
  const status = el("select", { name: "status" }, el("option", { value: "" }, "any"),
    STATUSES.map((name) => el("option", { value: name }, name)));
  const kinds = el("datalist", { id: "kinds" });
  const fields = {
    text: el("input", { id: "search", type: "search", name: "text", maxlength: 255, placeholder: "words of the title" }),
    status,
    kind: el("input", { name: "kind", list: "kinds", maxlength: 100, placeholder: "any" }),
    tag: el("input", { name: "tag", maxlength: 64, placeholder: "any" }),
    created_after: el("input", { type: "datetime-local", name: "created_after" }),
    created_before: el("input", { type: "datetime-local", name: "created_before" }),
  };
  const labels = {
    text: "Search", status: "Status", kind: "Kind", tag: "Tag",
    created_after: "Created from", created_before: "Created before",
  };
  const field = (name) => el("label", { class: `field ${name}` }, el("span", {}, labels[name]), fields[name]);
  const more = el("details", { class: "more" }, el("summary", {}, "More filters"),
    el("div", { class: "row" }, ["kind", "tag", "created_after", "created_before"].map(field)));
  const clear = button("Clear", () => changed({}), { class: "plain" });
  let timer;
  const stop = () => clearTimeout(timer);
  const read = () => {
    stop();
    changed(Object.fromEntries(Object.entries(fields).map(([name, input]) => [name, written(input)])));
  };
  signal.addEventListener("abort", stop);
  const element = el("form", {
    class: "filters", role: "search",
    submit: (event) => event.preventDefault(),
    change: read,
    input: (event) => {
      stop();
      if (event.target.type !== "datetime-local") timer = setTimeout(read, PATIENCE);
    },
    keydown: (event) => {
      if (event.key === "Escape" && event.target === fields.text) fields.text.blur();
    },
  }, el("div", { class: "row" }, field("text"), field("status"), clear), more, kinds);
  const show = (asked) => {
    for (const [name, input] of Object.entries(fields)) {
      if (input !== document.activeElement || !asked[name]) fill(input, asked[name] ?? "");
    }
    if (["kind", "tag", "created_after", "created_before"].some((name) => asked[name])) more.open = true;
    clear.hidden = !Object.keys(fields).some((name) => asked[name]);
  };
  show(query);
  call("GET", "kinds").then(({ body }) => kinds.append(
    ...body.items.map(({ kind }) => el("option", { value: kind }))), () => {});
  return { element, show };
}

// The address has UTC; the field has the reader's own time.
function written(input) {
  if (input.type !== "datetime-local") return input.value.trim();
  return input.value ? new Date(input.value).toISOString() : "";
}

function fill(input, value) {
  if (input.type === "datetime-local" && value) {
    const date = new Date(value);
    const local = new Date(date - date.getTimezoneOffset() * 60000);
    value = Number.isNaN(date.valueOf()) ? "" : local.toISOString().slice(0, 16);
  }
  if (input.value !== value) input.value = value;
}
