// Asks before something is done; Escape and the way back close it.

import { button, el, fresh } from "./dom.js";

/**
 * Open a dialog with what `content(close)` returns, and wait until it is closed.
 * Returns what was given to `close`, or what `submit()` returns when Enter or its button is pressed.
 */
export function open(title, content, submit = () => true) {
  return new Promise((resolve) => {
    const id = fresh("dialog");
    let answer = null;
    const close = (value) => {
      answer = value;
      dialog.close();
    };
    const form = el("form", {
      submit: (event) => {
        event.preventDefault();
        close(submit());
      },
    }, el("h2", { id }, title), content(close));
    const dialog = el("dialog", {
      "aria-labelledby": id,
      close: () => {
        dialog.remove();
        resolve(answer);
      },
    }, form);
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Ask whether to go on; returns true or null. */
export function confirm(title, text, action, { danger = false } = {}) {
  return open(title, (close) => [
    el("p", {}, text),
    el("div", { class: "actions" },
      button("Leave it", () => close(null)),
      el("button", { type: "submit", class: danger ? "danger" : "main", autofocus: !danger }, action)),
  ]);
}
