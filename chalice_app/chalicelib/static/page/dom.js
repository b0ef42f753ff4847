// Makes elements. Whatever comes from the service becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

// What is absent may be told as `condition && element`.
function there(children) {
  return children.flat(2).filter((child) => child !== null && child !== undefined && child !== false);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...there(children));
  return element;
}

/** Make an element; a function among the attributes listens to the event of that name. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Make an element of a picture. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Put these in the place of what an element holds. */
export function put(element, ...children) {
  element.replaceChildren(...there(children));
}

/** Make a button that does something when it is pressed. */
export function button(label, press, attributes = {}) {
  return el("button", { type: "button", click: press, ...attributes }, label);
}

let last = 0;

/** Return a name that no other element of the page has. */
export function fresh(name) {
  last += 1;
  return `${name}-${last}`;
}

/** Put anew what an element holds, but only if `facts` differ from last time: it may be in focus. */
export function redraw(element, facts, make) {
  const signature = JSON.stringify(facts);
  if (element.signature === signature) return;
  element.signature = signature;
  put(element, make());
}

/**
 * Make what an element holds like these, and keep its nodes where they are of the same sort: so
 * focus, scroll and what was opened stay. What is made must not listen to events.
 */
export function renew(element, ...children) {
  const made = there(children).map((child) => (child instanceof Node ? child : document.createTextNode(child)));
  made.forEach((child, at) => {
    const old = element.childNodes[at];
    if (!old) element.append(child);
    else if (old.nodeName === child.nodeName) liken(old, child);
    else old.replaceWith(child);
  });
  while (element.childNodes.length > made.length) element.lastChild.remove();
}

function liken(old, made) {
  if (!(made instanceof Element)) {
    if (old.data !== made.data) old.data = made.data;
    return;
  }
  // Whether details are open is the reader's affair.
  for (const { name } of [...old.attributes]) if (name !== "open" && !made.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of made.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  renew(old, ...made.childNodes);
}
