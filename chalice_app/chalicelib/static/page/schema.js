// Makes fields from a JSON Schema; what it does not know becomes a field for JSON.

import { button, el, put } from "./dom.js";
import { isNumber, read } from "./exactly.js";
import { describe, field, json, text } from "./fields.js";

/** Make the fields of a payload: an `element`, and `value()`, undefined where nothing is given. */
export function payload(schema, pointer) {
  if (!schema) {
    return json("payload", "A JSON object", { pointer, hint: "This kind says nothing of its payload; it may be left empty." });
  }
  return part("payload", "Payload", schema, { pointer, root: schema, required: true, top: true });
}

function part(name, label, given, place) {
  const { schema, optional } = plain(given, place.root);
  const about = { ...place, required: place.required && !optional, hint: schema.description };
  const preset = given.default ?? schema.default ?? undefined;
  if (Array.isArray(schema.enum) && schema.enum.every(simple)) return choice(name, label, schema.enum, preset, about);
  if (schema.const !== undefined && simple(schema.const)) return choice(name, label, [schema.const], preset ?? schema.const, about);
  switch (schema.type) {
    case "string": {
      const type = schema.format === "date-time" ? "datetime-local" : "text";
      return text(name, label, { ...only(about), type, value: type === "text" ? preset : undefined, maxlength: schema.maxLength });
    }
    case "integer":
    case "number":
      return number(name, label, schema, preset, about);
    case "boolean":
      return choice(name, label, [true, false], preset, about);
    case "array":
      if (listed(schema, place.root)) return many(name, label, schema, about);
      break;
    case "object":
      if (schema.properties && !isOpen(schema)) return object(name, label, schema, about);
      break;
    default:
  }
  return json(name, label, { ...only(about), value: preset ?? undefined });
}

function only({ pointer, hint, required }) {
  return { pointer, hint, required };
}

function simple(value) {
  return ["string", "number", "boolean"].includes(typeof value);
}

// Something without names of its own can be filled in as JSON alone.
function isOpen(schema) {
  return typeof schema.additionalProperties === "object";
}

// Follows references, and takes the one choice that is not null.
function plain(schema, root, depth = 0) {
  if (depth > 20) return { schema: {}, optional: false };
  if (schema.$ref?.startsWith("#/$defs/")) {
    const found = root.$defs?.[decodeURIComponent(schema.$ref.slice(8))] ?? {};
    return plain({ ...found, ...schema, $ref: undefined }, root, depth + 1);
  }
  if (schema.allOf?.length === 1) {
    return plain({ ...schema.allOf[0], ...schema, allOf: undefined }, root, depth + 1);
  }
  const rest = schema.anyOf?.filter((one) => one.type !== "null");
  if (rest?.length === 1) {
    const found = plain({ ...rest[0], description: schema.description ?? rest[0].description }, root, depth + 1);
    return { schema: found.schema, optional: rest.length < schema.anyOf.length || found.optional };
  }
  return { schema, optional: false };
}

function choice(name, label, options, preset, about) {
  const asked = about.required && preset === undefined;
  const input = el("select", {}, el("option", { value: "" }, asked ? "choose …" : "not given"),
    options.map((option, at) => el("option", { value: at, selected: option === preset }, String(option))));
  const hint = about.hint && el("p", { class: "hint" }, about.hint);
  const value = () => (input.value === "" ? undefined : options[Number(input.value)]);
  return { name, element: field(about.required ? `${label} (required)` : label, input, hint, about.pointer), value };
}

function number(name, label, schema, preset, about) {
  const limits = [
    schema.minimum !== undefined && `at least ${schema.minimum}`,
    schema.maximum !== undefined && `at most ${schema.maximum}`,
  ].filter(Boolean).join(", ");
  const hint = [about.hint, limits].filter(Boolean).join(" – ") || undefined;
  const made = text(name, label, {
    ...only(about), hint, value: preset, inputmode: schema.type === "integer" ? "numeric" : "decimal",
  });
  // What is no number is sent as it is: the service says what is wrong with it.
  const value = () => {
    const written = made.value()?.trim();
    if (!written) return undefined;
    if (isNumber(written)) return read(written);
    return Number.isFinite(Number(written)) ? Number(written) : written;
  };
  return { ...made, value };
}

function listed(schema, root) {
  const found = schema.items && plain(schema.items, root).schema;
  return Boolean(found && (found.enum?.every(simple) || ["string", "integer", "number", "boolean", "object"].includes(found.type)));
}

function many(name, label, schema, place) {
  const parts = [];
  const rows = el("ol", { class: "rows" });
  const add = () => {
    const at = parts.length;
    const made = part(`${name}-${at}`, `${label} ${at + 1}`, schema.items,
      { pointer: `${place.pointer}/${at}`, root: place.root, required: false });
    parts.push(made);
    rows.append(el("li", {}, made.element));
    return made;
  };
  const remove = () => {
    parts.pop();
    rows.lastElementChild?.remove();
  };
  const about = place.hint && el("p", { class: "hint" }, place.hint);
  const element = el("fieldset", { "data-pointer": place.pointer }, el("legend", {}, label), about, rows,
    el("div", { class: "row" },
      button("Add one", () => add().element.querySelector("input, textarea, select")?.focus()),
      button("Remove the last", remove, { class: "plain" })));
  if (about) describe(element, about);
  const value = () => {
    // An empty one keeps its place, so that the service can name it.
    const values = parts.map((one) => one.value() ?? null);
    return values.length || place.required ? values : undefined;
  };
  return { name, element, value };
}

function object(name, label, schema, place) {
  if (!place.top && !place.required) return perhaps(name, label, schema, place);
  const keys = Object.keys(schema.properties);
  const parts = keys.map((key) => part(key, schema.properties[key].title ?? key, schema.properties[key], {
    pointer: `${place.pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`,
    root: place.root, required: schema.required?.includes(key) ?? false,
  }));
  const about = schema.description && el("p", { class: "hint lead" }, schema.description);
  const element = el(place.top ? "div" : "fieldset", { "data-pointer": place.pointer },
    place.top ? null : el("legend", {}, label), about,
    parts.map((one) => one.element), parts.length ? null : el("p", { class: "hint" }, "It has no fields."));
  if (about && !place.top) describe(element, about);
  const value = () => Object.fromEntries(
    parts.map((one, at) => [keys[at], one.value()]).filter(([, one]) => one !== undefined));
  return { name, element, value };
}

// What may be left out is left out until it is asked for: its own fields may be required, or preset.
function perhaps(name, label, schema, place) {
  let made = null;
  const inner = el("div");
  const toggle = button("Fill it in", () => {
    made = made ? null : object(name, label, schema, { ...place, required: true, top: true });
    put(inner, made?.element);
    toggle.textContent = made ? "Leave it out" : "Fill it in";
  });
  const element = el("fieldset", { "data-pointer": place.pointer }, el("legend", {}, schema.title ?? label),
    inner, toggle);
  return { name, element, value: () => made?.value() };
}
