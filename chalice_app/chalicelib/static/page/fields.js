// Fields of a form: a label, what is filled in, a hint, and the place that an error names.

import { el, fresh } from "./dom.js";
import * as exactly from "./exactly.js";

/** Let what is said of an element be read out with it. */
export function describe(element, about) {
  about.id ||= fresh("about");
  const ids = element.getAttribute("aria-describedby");
  element.setAttribute("aria-describedby", ids ? `${ids} ${about.id}` : about.id);
}

/** Let what was said of an element be gone. */
export function unsay(element, about) {
  const ids = element.getAttribute("aria-describedby").split(" ").filter((id) => id !== about.id);
  if (ids.length) element.setAttribute("aria-describedby", ids.join(" "));
  else element.removeAttribute("aria-describedby");
  about.remove();
}

/** Put a label before an input, and what is said of it after it. */
export function field(label, input, hint, pointer) {
  input.id ||= fresh("field");
  if (hint) describe(input, hint);
  return el("div", { class: "field", "data-pointer": pointer ?? `#/${input.id}` },
    el("label", { for: input.id }, label), input, hint);
}

/** Make a field for text; `value()` is undefined where nothing is filled in. */
export function text(name, label, { pointer = `#/${name}`, lines, hint, type = "text", value, required, ...more } = {}) {
  const id = fresh(name);
  const about = hint && el("p", { class: "hint" }, hint);
  const attributes = { id, "aria-required": required, ...more };
  const input = lines ? el("textarea", { rows: lines, ...attributes }) : el("input", { type, ...attributes });
  if (value !== undefined) input.value = value;
  const read = () => {
    if (input.value === "") return undefined;
    return type === "datetime-local" ? new Date(input.value).toISOString() : input.value;
  };
  const label_ = required ? `${label} (required)` : label;
  return { name, element: field(label_, input, about, pointer), value: read, input };
}

/** Say that what is filled in cannot be sent. */
export class Unreadable extends Error {
  constructor(pointer, detail) {
    super(detail);
    this.pointer = pointer;
    this.detail = detail;
  }
}

/** Make a field for any JSON. */
export function json(name, label, { pointer, hint, value, required }) {
  const shown = value === undefined ? undefined : JSON.stringify(value, null, 2);
  const made = text(name, label, { pointer, hint, lines: 4, value: shown, required, spellcheck: "false", class: "code" });
  const read = () => {
    const written = made.value();
    if (written === undefined || !written.trim()) return undefined;
    try {
      return exactly.read(written);
    } catch (error) {
      throw new Unreadable(pointer, `is not JSON: ${error.message}`);
    }
  };
  return { ...made, value: read };
}
