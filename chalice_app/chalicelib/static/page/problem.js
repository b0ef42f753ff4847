// What went wrong with a request, and what can be done about it.

import { button, el } from "./dom.js";
import { duration } from "./times.js";

/** A request that failed; `status` is 0 where there was no answer. */
export class Problem extends Error {
  constructor(status, body = null, wait = 0) {
    super(`status ${status}`);
    this.status = status;
    this.body = body ?? {};
    this.wait = wait;
  }

  /** What the service says. */
  get detail() {
    return this.body.detail ?? this.body.message ?? "The service did not say why.";
  }

  /** The broken rules of a 422, each with a `pointer` or a `parameter`. */
  get errors() {
    return this.body.errors ?? [];
  }
}

const ADVICE = {
  0: ["The service does not answer.", "Is the network up, and the service running?"],
  401: ["A key is needed.", "Give one that counts."],
  403: ["The key may not do this.", "Use one with the scope that it needs: tasks:read to look, " +
    "tasks:write to change."],
  404: ["This is not there.", "It never was, or it was deleted."],
  409: ["This cannot be done now.", "The task has moved on; look at its status."],
  412: ["The task has changed meanwhile.", "Look at it again."],
  413: ["This is too large.", "Store what is large elsewhere, and send its address."],
  422: ["The service did not accept this.", "Mend what it names."],
  429: ["Too much at once.", "Try again a little later."],
  500: ["A mistake in the service.", "Report it with the number of the request."],
  502: ["The service failed to answer.", "It may have done what was asked: look before you repeat it."],
  503: ["The service cannot do this now.", "Its database is away, or older than the code."],
  504: ["The service took too long.", "It may have done what was asked: look before you repeat it."],
};

/** Say in words what is wrong: `title`, `text` and `advice`. */
export function told(error) {
  if (!(error instanceof Problem)) {
    return { title: "A mistake in this page.", text: String(error), advice: "Reload it." };
  }
  const [title, advice] = ADVICE[error.status] ?? [`The service answered ${error.status}.`, ""];
  const number = error.status >= 500 && error.body.request_id ? ` Request ${error.body.request_id}.` : "";
  const wait = error.wait ? ` It asks to wait ${duration(error.wait)}.` : "";
  return { title, text: error.status ? `${error.detail}${number}` : "", advice: `${advice}${wait}` };
}

/** Show it, with a button to try again. */
export function shown(error, again) {
  const { title, text, advice } = told(error);
  return el("div", { class: "problem", role: "alert" },
    el("strong", {}, title), text && el("p", {}, text), el("p", {}, advice),
    again && button("Try again", again));
}
