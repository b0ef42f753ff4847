"use strict";

// Shows the API's description, and calls the API that the page came from.

const root = new URL("..", document.currentScript.src).href.replace(/\/$/, "");

addEventListener("DOMContentLoaded", () => {
  const viewer = document.createElement("openapi-explorer");
  const options = {
    "spec-url": `${root}/openapi.json`,
    "server-url": root,
    "hide-server-selection": "true",
    "fetch-credentials": "omit",
    "default-schema-tab": "body",
    "use-path-in-nav-bar": "true",
  };
  for (const [name, value] of Object.entries(options)) viewer.setAttribute(name, value);
  document.body.append(viewer);
});

// The library writes its styles into its markup, and the page's policy allows no inline style.
// The same rules may be given through the CSSOM; so each way in which it does that leads there.

const markup = Object.getOwnPropertyDescriptor(Element.prototype, "innerHTML");
Object.defineProperty(HTMLTemplateElement.prototype, "innerHTML", {
  ...markup,
  set(text) {
    const inert = String(text)
      .replaceAll(/(\s)style=(["'])/g, "$1data-style=$2")
      .replaceAll("<style>", '<script type="text/css">')
      .replaceAll("</style>", "</script>");
    markup.set.call(this, inert);
  },
});

const { importNode } = Document.prototype;
Document.prototype.importNode = function (node, deep) {
  const copy = importNode.call(this, node, deep);
  for (const element of copy.querySelectorAll?.("[data-style]") ?? []) {
    element.style.cssText = element.dataset.style;
  }
  return copy;
};

const { setAttribute } = Element.prototype;
Element.prototype.setAttribute = function (name, value) {
  if (name === "style") this.style.cssText = value;
  else setAttribute.call(this, name, value);
};

const { attachShadow } = Element.prototype;
Element.prototype.attachShadow = function (options) {
  const shadow = attachShadow.call(this, options);
  const sheet = new CSSStyleSheet();
  const adopt = () => {
    const held = [...shadow.querySelectorAll('script[type="text/css"]')];
    sheet.replaceSync(held.map((style) => style.textContent).join("\n"));
    if (!shadow.adoptedStyleSheets.includes(sheet)) shadow.adoptedStyleSheets.unshift(sheet);
  };
  new MutationObserver(adopt).observe(shadow, { childList: true, characterData: true, subtree: true });
  return shadow;
};
