// Shows the id of a trace: where X-Ray has it as a link to it, and everywhere with a way to copy it.

import { el } from "./dom.js";
import { copier } from "./first.js";

const XRAY = /^1-[0-9a-f]{8}-[0-9a-f]{24}$/;

/** Show an id, of X-Ray's form or of another. */
export function trace(id) {
  const address = document.documentElement.dataset.traces;
  const linked = address && XRAY.test(id);
  return el("span", { class: "trace" },
    linked
      ? el("a", { href: address + id, target: "_blank", rel: "noopener noreferrer", title: "The trace in CloudWatch" }, id)
      : el("span", {}, id),
    copier(id));
}
