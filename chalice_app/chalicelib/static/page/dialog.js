// Asks before something is done; Escape and the way back close it.

import { button, el, fresh } from "./dom.js";

const opened = []; // dialogs, the one on top last: each is a step in the browser's history
const returning = []; // what waits until the step of a dialog that was closed is taken back

addEventListener("popstate", () => {
  if (returning.length) returning.shift()();
  else opened.at(-1)?.left();
});

/**
 * Open a dialog with what `content(close)` returns, and wait until it is closed.
 * Returns what was given to `close`, or what `submit()` returns when Enter or its button is pressed.
 */
export function open(title, content, submit = () => true) {
  return new Promise((resolve) => {
    const id = fresh("dialog");
    let answer = null;
    let back = false;
    const close = (value) => {
      answer = value;
      dialog.close();
    };
    const left = () => {
      back = true;
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
        opened.splice(opened.indexOf(step), 1);
        // The page may go elsewhere once this is answered, so its own step has to be gone by then.
        if (back) return resolve(answer);
        returning.push(() => resolve(answer));
        return history.back();
      },
    }, form);
    const step = { left };
    opened.push(step);
    history.pushState({ dialog: id }, "");
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
