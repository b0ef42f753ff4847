// What can be done with a task: cancel it, try it again, delete it.

import { call } from "./api.js";
import { confirm } from "./dialog.js";
import { button, el, put } from "./dom.js";
import { shown } from "./problem.js";
import { go } from "./route.js";
import { FINAL } from "./status.js";

/** Make the buttons for what the task allows; `changed` is called once something was done. */
export function actions(task, { changed, signal }) {
  const outcome = el("div", { role: "status" });
  const act = (method, path, then) => async () => {
    try {
      await call(method, `tasks/${task.id}${path}`, { signal });
      put(outcome);
      then();
    } catch (error) {
      if (signal.aborted) return;
      put(outcome, shown(error));
      if (error.status === 409) changed();
    }
  };
  const asked = (question, work) => async () => {
    if (await confirm(...question)) await work();
  };
  const made = [];
  if (task.links.cancel) made.push(button("Cancel …", asked(cancelling(task), act("POST", "/cancel", changed))));
  if (task.links.retry) made.push(button("Try again …", asked(retrying(task), act("POST", "/retry", changed))));
  if (FINAL.includes(task.status)) {
    const gone = () => go("tasks");
    made.push(button("Delete …", asked(deleting(task), act("DELETE", "", gone)), { class: "danger" }));
  }
  return el("div", { class: "does" }, made, outcome);
}

function cancelling(task) {
  const text = task.status === "processing"
    ? "Its worker is asked to stop, and does so when the handler next reports. What is done stays done."
    : "It waits, and will not be begun.";
  return [`Cancel task ${task.id}?`, text, "Cancel the task"];
}

function retrying(task) {
  return [`Try task ${task.id} again?`, "It gets as many new attempts as a new task has, and begins at once.",
    "Try again"];
}

function deleting(task) {
  return [`Delete task ${task.id}?`, "The task, its result and its attempts are gone for good.", "Delete the task",
    { danger: true }];
}
