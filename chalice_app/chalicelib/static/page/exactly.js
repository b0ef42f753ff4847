// Keeps numbers as they were written: JavaScript's own have 53 bits, and end at 1e308.

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/g;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** Take the members of a valid JSON object: a Map of each name and its value, laid out in lines. */
export function members(text) {
  const found = new Map();
  const tokens = text.match(TOKEN) ?? [];
  let depth = 0;
  let begun = 0;
  tokens.forEach((token, at) => {
    if (token === "}" || token === "]") depth -= 1;
    if (token === ":" && depth === 1) begun = at + 1;
    const ends = (token === "," && depth === 1) || (token === "}" && depth === 0);
    if (ends && begun) found.set(JSON.parse(tokens[begun - 2]), laidOut(tokens.slice(begun, at)));
    if (token === "{" || token === "[") depth += 1;
  });
  return found;
}

// As JSON.stringify would, but for the numbers.
function laidOut(tokens) {
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  return tokens.map((token, at) => {
    switch (token) {
      case "{":
      case "[":
        depth += 1;
        return "}]".includes(tokens[at + 1]) ? token : token + line();
      case "}":
      case "]":
        depth -= 1;
        return "{[".includes(tokens[at - 1]) ? token : line() + token;
      case ",":
        return token + line();
      case ":":
        return ": ";
      default:
        return token.startsWith("\"") ? JSON.stringify(JSON.parse(token)) : token;
    }
  }).join("");
}

/** Read JSON; its numbers are sent as they are written, where the browser can do that. */
export function read(text) {
  return JSON.parse(text, (name, value, context) => {
    const exact = typeof value === "number" && JSON.rawJSON && context?.source;
    return exact && exact !== String(value) ? JSON.rawJSON(exact) : value;
  });
}

/** Tell whether a text is a number in JSON. */
export function isNumber(text) {
  return NUMBER.test(text);
}
