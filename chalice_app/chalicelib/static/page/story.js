// Puts together what happened to a task, and when, from the task and its attempts.

import { FINAL } from "./status.js";
import { now } from "./times.js";

const SHORT = 0.0005; // seconds; a gap below it is none

const ENDED = {
  completed: "succeeded",
  retrying: "failed",
  failed: "failed, for good",
  crashed: "ended without a report: its worker is gone",
  cancelled: "was stopped",
  processing: "is running",
};

/**
 * Return the story as pieces in order. A piece has `sort` (moment, wait or attempt), `text`, `from`,
 * and, of a wait or an attempt, `to` (null: until now) and `seconds`; of an attempt, the `attempt`.
 */
export function story(task, attempts) {
  const pieces = [moment("Created", task.created_at, "pending")];
  let at = task.created_at;
  let before = null;
  for (const attempt of attempts) {
    pieces.push(...gap(at, attempt.started_at, before, attempts.length === 1 ? task.run_at : null));
    const words = `Attempt ${attempt.attempt} ${ENDED[attempt.outcome] ?? attempt.outcome}`;
    pieces.push({
      sort: "attempt", text: words, from: attempt.started_at, to: attempt.ended_at,
      seconds: between(attempt.started_at, attempt.ended_at), look: attempt.outcome, attempt,
    });
    at = attempt.ended_at ?? at;
    before = attempt.outcome;
  }
  pieces.push(...ending(task, at, before));
  return pieces;
}

function moment(text, from, look) {
  return { sort: "moment", text, from, look };
}

function between(from, to) {
  return Math.max(0, ((to ? Date.parse(to) : now()) - Date.parse(from)) / 1000);
}

function wait(text, from, to, look = "waiting") {
  return { sort: "wait", text, from, to, seconds: between(from, to), look };
}

// What lies between two attempts, or before the first.
function gap(from, to, before, due) {
  if (before === null && due && between(from, due) > 1 && Date.parse(due) <= Date.parse(to)) {
    return [wait("Waited for its time", from, due, "planned"), wait("Waited for a worker", due, to)];
  }
  if (between(from, to) < SHORT) return [];
  if (before === null) return [wait("Waited for a worker", from, to)];
  if (before === "failed" || before === "cancelled") return [wait("Rested, until it was tried again by hand", from, to, "planned")];
  if (before === "crashed") return [wait("Waited to be found and tried again", from, to)];
  return [wait("Waited for the next attempt", from, to, "planned")];
}

function ending(task, at, before) {
  const due = Date.parse(task.run_at) > now();
  switch (task.status) {
    case "pending": {
      if (before) at = task.updated_at ?? at;
      const again = before ? [moment("Given new attempts by hand", at, "pending")] : [];
      if (due) return [...again, { ...wait("Waits for its time", at, null, "planned"), until: task.run_at }];
      return [...again, wait("Waits for a worker", at, null)];
    }
    case "retrying":
      return due
        ? [{ ...wait("Waits for the next attempt", at, null, "planned"), until: task.run_at }]
        : [wait("Is due, and waits for a worker", at, null)];
    case "processing":
      return task.cancel_requested_at ? [moment("Was asked to stop", task.cancel_requested_at, "cancelled")] : [];
    default:
      return final(task, at, before);
  }
}

function final(task, at, before) {
  const end = task.finished_at;
  const pieces = [];
  // Its last attempt is not what ended it: it expired, was cancelled, or had no attempts left.
  const alone = !FINAL.includes(before) && before !== "crashed";
  if (alone && between(at, end) >= SHORT) pieces.push(wait("Waited", at, end));
  const took = between(task.created_at, end);
  pieces.push({ ...moment(`${task.status[0].toUpperCase()}${task.status.slice(1)}`, end, task.status), took, alone });
  return pieces;
}
