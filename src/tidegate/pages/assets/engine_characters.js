// Characters as the Python that packed the model knows them: which are letters or white space, lower
// case, composed forms. A browser may know another version of Unicode, so it is asked for none of these
// but the composed forms of characters that this Python has, too; those never change again.

// Ranges [first, last, first, last, …] as the inside of a character class.
export function inside(ranges) {
  const one = (code) => `\\u{${code.toString(16)}}`;
  let text = "";
  for (let k = 0; k < ranges.length; k += 2) text += ranges[k] === ranges[k + 1] ? one(ranges[k]) : `${one(ranges[k])}-${one(ranges[k + 1])}`;
  return text;
}

export const isAscii = (text) => !/[^\x00-\x7f]/.test(text);

// Places of spans in UTF-16 units as places in code points.
export function inCodePoints(text, spans) {
  if (isAscii(text)) return spans;
  const numbers = new Uint32Array(text.length + 1);
  let [n, unit] = [0, 0];
  for (const c of text) {
    for (let k = 0; k < c.length; k += 1) numbers[unit + k] = n;
    [n, unit] = [n + 1, unit + c.length];
  }
  numbers[text.length] = n;
  return spans.map((span) => ({ ...span, start: numbers[span.start], end: numbers[span.end] }));
}

// str.lower. A capital sigma at the end of a word has a form of its own: one with a letter before it
// and none behind it, whatever marks stand between.
export function lowering({ lower, classes }) {
  const small = new Map(Object.entries(lower));
  const [CASED, SKIPPED] = ["cased", "ignorable"].map((name) => new RegExp(`^[${inside(classes[name])}]$`, "u"));
  const lowerOne = (c) => small.get(c) ?? c;

  // Whether the next character that counts, from `k` on by `step`, is a letter.
  function letterFrom(characters, k, step) {
    let at = k;
    while (at >= 0 && at < characters.length && SKIPPED.test(characters[at])) at += step;
    return at >= 0 && at < characters.length && CASED.test(characters[at]);
  }

  function lowerAll(text) {
    if (isAscii(text)) return text.toLowerCase();
    const characters = Array.from(text);
    return characters.map((c, k) => (c === "Σ" && letterFrom(characters, k - 1, -1) && !letterFrom(characters, k + 1, 1) ? "ς" : lowerOne(c))).join("");
  }

  return { lowerOne, lowerAll };
}

// NFC. To this Python a character that it does not know is one that nothing joins.
export function composing({ classes }) {
  const UNKNOWN = new RegExp(`([${inside(classes.unassigned)}]+)`, "u");
  return (text) => {
    if (isAscii(text)) return text;
    return text.split(UNKNOWN).map((part, k) => (k % 2 ? part : part.normalize("NFC"))).join("");
  };
}
