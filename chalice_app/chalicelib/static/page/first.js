// What helps where there is no task yet.

import { root } from "./api.js";
import { button, el } from "./dom.js";
import { key } from "./key.js";
import { link } from "./route.js";

/** Say how the first task is made. */
export function firstTask() {
  const header = key() ? " -H \"Authorization: Bearer $TASKS_KEY\"" : "";
  const command = `curl ${root}tasks${header} -H 'Content-Type: application/json' \\\n` +
    "  -d '{\"title\": \"Process User Data\"}'";
  return el("section", { class: "empty" },
    el("h2", {}, "There is no task yet"),
    el("p", {}, "Make the first one ", el("a", { href: link("new") }, "with the form"), ", or from a terminal:"),
    el("pre", { tabindex: 0 }, command),
    copier(command));
}

/** Make a button that copies a text. */
export function copier(text) {
  const made = button("Copy", async () => {
    try {
      await navigator.clipboard.writeText(text);
      made.textContent = "Copied";
    } catch {
      made.textContent = "Select the text to copy it";
    }
  }, { class: "plain" });
  return made;
}
