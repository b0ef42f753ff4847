// Holds the API key: for this tab, until it is closed or the key is forgotten.

import { button, el } from "./dom.js";
import { open } from "./dialog.js";
import { describe } from "./fields.js";

const NAME = "tasks-key";
let asked = null;
let declined = false;

// Whoever would rather not is asked again when they try again or go elsewhere, not by a timer.
for (const event of ["wake", "hashchange"]) addEventListener(event, () => { declined = false; });

/** Return the key, or null. */
export function key() {
  return sessionStorage.getItem(NAME);
}

/** Forget it. */
export function forget() {
  sessionStorage.removeItem(NAME);
  dispatchEvent(new Event("key"));
}

/** Ask for a key, once however many requests need it; returns whether there is a new one. */
export function ask(why) {
  if (declined) return Promise.resolve(false);
  asked ??= dialog(why).then((given) => {
    declined = !given;
    return given;
  }).finally(() => {
    asked = null;
  });
  return asked;
}

async function dialog(why) {
  const input = el("input", {
    id: "key",
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "tk_…",
  });
  const reason = el("p", {}, why);
  const about = el("p", { class: "hint" }, "It stays in this tab and is gone when you close it. An operator makes " +
    "keys with scripts/keys.sh; scripts/dev.sh --auth prints one when it starts.");
  describe(input, reason);
  describe(input, about);
  const given = await open("This service needs a key", (close) => [
    reason,
    el("label", { for: "key" }, "API key"),
    input,
    about,
    el("div", { class: "actions" },
      button("Not now", () => close(null)),
      el("button", { type: "submit", class: "main" }, "Use this key")),
    // A header takes no other characters; what was copied may have some that nobody sees.
  ], () => input.value.replace(/[^\x21-\x7e]/g, ""));
  if (!given) return false;
  sessionStorage.setItem(NAME, given);
  dispatchEvent(new Event("key"));
  return true;
}
