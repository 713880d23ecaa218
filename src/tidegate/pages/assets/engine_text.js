// Short messages to words: the default tokeniser, as text/tweet.py has it. Which characters are
// letters, digits, marks or white space is not asked of the browser: see engine_characters.js.
//
// Places inside this module count UTF-16 units; `spans` turns them into code points.

import { composing, inCodePoints, inside, isAscii, lowering } from "./engine_characters.js";

export const CLEANED = "removed by cleaning";
const MOST = 64; // characters of a token
const UNSPACED = "\\u0e00-\\u0eff\\u1000-\\u109f\\u1780-\\u17ff\\u3041-\\u30ff\\u31f0-\\u31ff\\uff66-\\uff9f"
  + "\\u3005-\\u3007\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff\\u{20000}-\\u{3ffff}";
const APOSTROPHES = "'’‘´`ʼ＇";
const EMOJI = "[\\u2190-\\u21ff\\u2300-\\u23ff\\u25a0-\\u27bf\\u2900-\\u297f\\u2b00-\\u2bff"
  + "\\u3030\\u303d\\u3297\\u3299\\u{1f000}-\\u{1faff}]";
const INVISIBLE = "[\\x00-\\x08\\x0e-\\x1b\\x7f-\\x84\\x86-\\x9f\\xad\\u034f\\u061c\\u115f\\u1160\\u180b-\\u180f\\u200b\\u200c"
  + "\\u200e\\u200f\\u202a-\\u202e\\u2060-\\u206f\\u3164\\ud800-\\udfff\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb"
  + "\\u{e0000}-\\u{e0fff}]";
const UNITS = "am|pm|km|kph|kmh|mph|cm|mm|mi|ft|in|inch|kg|lbs?|oz|g|w|mb|gb|fps|hpa|x"
  + "|h|hrs?|hours?|mins?|minutes?|secs?|days?|wks?|weeks?|months?|yrs?|years?|yo";
const ADDRESS = "[!#-;=?-~]*(?<![.,;:!?'\\)\\]\\}])";
const FIXED = { url: "<url>", user: "<user>", num: "<num>", dots: "...", heart: "❤" };
const KINDS = ["alone", "url", "user", "num", "tag", "short", "word", "stop", "dots", "face", "heart", "emoji", "other"];

// Letters in any case, the four beyond ASCII that Python's re takes for them included.
function anyCase(source) {
  const more = { i: "\u0130\u0131", s: "\u017f", k: "\u212a" };
  return source.replace(/[a-z]/g, (c) => `[${c}${c.toUpperCase()}${more[c] ?? ""}]`);
}

// One expression, its kinds tried in this order. See _PATTERN in text/tweet.py.
function pattern({ word, digit, mark, body, letter, space }) {
  const [W, D, M, S] = [word, digit, mark, space].map(inside);
  const name = `[${W}][${W}${M}]*`;
  const plain = `[${inside(body)}]+(?:[${M}]+[${inside(body)}]*)*`;
  const single = `[${inside(letter)}]`;
  const one = `[\\u{1f1e6}-\\u{1f1ff}]{2}|${EMOJI}[\\u{1f3fb}-\\u{1f3ff}]?(?:\\u200d${EMOJI}[\\u{1f3fb}-\\u{1f3ff}]?)*`;
  const kinds = [
    `(?<alone>[${UNSPACED}][${M}]*)`,
    `(?<url>${anyCase("htt(?:ps?)?")}(?::(?:\\/\\/${ADDRESS})?|(?=…|\\.\\.))|${anyCase("www")}\\.${ADDRESS}`
      + `|(?<![${W}.@\\-])(?:[A-Za-z0-9][A-Za-z0-9\\-]{0,62}\\.){1,4}(?:(?:${anyCase("com|org|net|gov|edu|info|ly")})(?![${W}\\-])(?:\\/${ADDRESS})?`
      + `|[A-Za-z]{2,6}\\/${ADDRESS}))`,
    `(?<user>[@＠]${name}|(?<![${W}.+\\-])[${W}.+\\-]{1,64}@[${W}\\-]{1,63}(?:\\.[${W}\\-]{1,63})+)`,
    `(?<num>(?:(?<![${W}])[+\\-])?[#$£€¥]?[${D}]+(?:[.,:\\/'\\-][${D}]+)*(?:(?:${anyCase("st|nd|rd|th|k|m|b|bn|mn|'?s")}|%|°[cCfF]?)?[${M}]*(?![${W}])`
      + `|(?=(?:${anyCase(UNITS)})(?![${W}]))))`,
    `[#＃](?<tag>${name})`,
    `(?<short>(?<![${W}.])${single}(?:\\.${single})+(?![${W}]))\\.?`,
    `(?<word>${plain}(?:[${APOSTROPHES}]${plain})*)`,
    "(?<stop>[!?！？]+)",
    "(?<dots>(?:\\.\\.|…)[.…]*)",
    `(?<face>[:;=]['\\-]?(?:\\)+|\\(+|[DPp](?![${W}])))`,
    `(?<heart><3(?![.,]?[${D}]))`,
    `(?<emoji>(?<one>${one})(?:\\k<one>)*)`,
    `(?<other>[^${S}])`,
  ];
  return new RegExp(kinds.join("|"), "gu");
}

function entityPattern() {
  const name = "#[0-9]{1,7}(?![0-9]);?|#[xX][0-9a-fA-F]{1,6}(?![0-9a-fA-F]);?"
    + "|[A-Za-z][A-Za-z0-9]{1,31};|(?:amp|lt|gt|quot|nbsp)(?![A-Za-z0-9])";
  return new RegExp(`&(?:amp;)*(?<name>${name})|${INVISIBLE}|\\u200d(?!${EMOJI})`, "gu");
}

function oneOf(characters) {
  return `[${Array.from(characters, (c) => `\\u{${c.codePointAt(0).toString(16)}}`).join("")}]`;
}

function mojibakePattern(debris, byteOf) {
  const keys = Object.keys(debris);
  const more = oneOf([...byteOf].flatMap(([c, byte]) => (byte < 0xc0 ? [c, String.fromCharCode(byte)] : [])));
  const tail = (lead) => oneOf(keys.filter((key) => key[0] === lead).map((key) => key[1]));
  const thirds = oneOf(keys.filter((key) => key.length === 3).map((key) => key[2]));
  const forms = [["\\x89", tail("\x89") + thirds], ["å", tail("å")], ["Ì", tail("Ì")], ["Â", "[\\xa0-\\xbf]"], ["Ã", more],
    ["[âï]", more + more], ["ã", `[\\x81‚ƒ]${more}`], ["ð", more + more + more], ["[Ä-ß]", `${more}(?:[Ä-ß]${more})+`],
    ["[à-ï]", `${more}${more}(?:[à-ï]${more}${more})+`]];
  return new RegExp(`[\\x89Â-ð](?:${forms.map(([lead, rest]) => `(?<=${lead})${rest}`).join("|")})`, "gu");
}

// A text with matches replaced, and for each of its units where it stood before.
function rewrite(text, found, by) {
  let [out, done] = ["", 0];
  const [starts, ends] = [[], []];
  const keep = (until) => {
    out += text.slice(done, until);
    for (let k = done; k < until; k += 1) { starts.push(k); ends.push(k + 1); }
  };
  for (const match of text.matchAll(found)) {
    const [first, last] = [match.index, match.index + match[0].length];
    keep(first);
    const made = by(match);
    out += made;
    for (let k = 0; k < made.length; k += 1) { starts.push(first); ends.push(last); }
    done = last;
  }
  keep(text.length);
  return { text: out, starts, ends };
}

export function cut(text, most = MOST) {
  return text.length <= most ? text : Array.from(text).slice(0, most).join("");
}

export function tweetTokenizer(model) {
  const { classes, entities, numeric, debris, bytes } = model;
  const { lowerAll } = lowering(model);
  const compose = composing(model);
  const composed = (token) => cut(compose(cut(token)));
  const byteOf = new Map(bytes);
  const [PIECE, ENTITY, MOJIBAKE] = [pattern(classes), entityPattern(), mojibakePattern(debris, byteOf)];
  const one = (name, many = "") => new RegExp(`^[${inside(classes[name])}]${many}$`, "u");
  const [DIGIT, UPPER, MARK, ALNUM] = [one("digit"), one("upper"), one("mark"), one("alnum", "+")];
  const ELONGATED = new RegExp(`([${inside(classes.alpha)}])\\1{2,}`, "gu");
  const CHUNK = new RegExp(`[^${inside(classes.space)}]+`, "gu");
  const STRAIGHT = new RegExp(`[${APOSTROPHES}]`, "gu");

  function unmangled([found]) {
    if (Object.hasOwn(debris, found)) return debris[found];
    const raw = Array.from(found, (c) => byteOf.get(c) ?? c.codePointAt(0));
    if (raw.some((byte) => byte > 255)) return found;
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(raw));
    } catch {
      return found;
    }
  }

  // html.unescape of "&" and a name.
  function unescaped(name) {
    if (name[0] === "#") {
      const code = /^#[xX]/.test(name) ? parseInt(name.slice(2), 16) : parseInt(name.slice(1), 10);
      if (Object.hasOwn(numeric.replaced, code)) return numeric.replaced[code];
      if ((code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff) return "\ufffd";
      return numeric.dropped.includes(code) ? "" : String.fromCodePoint(code);
    }
    if (Object.hasOwn(entities, name)) return entities[name];
    for (let k = name.length - 1; k > 1; k -= 1) {
      if (Object.hasOwn(entities, name.slice(0, k))) return entities[name.slice(0, k)] + name.slice(k);
    }
    return `&${name}`;
  }

  function decoded(match) {
    if (!match.groups.name) return "";
    const found = unescaped(match.groups.name);
    return found[0] === "&" ? found : rewrite(found, ENTITY, decoded).text;
  }

  function word(surface) {
    let token = lowerAll(surface).replace(ELONGATED, "$1$1");
    if (!isAscii(token)) token = composed(token);
    if (!ALNUM.test(token)) token = token.replace(STRAIGHT, "'");
    return cut(token);
  }

  // U capital, l other letter, 0 digit, _ what separates: a letter for each code point of a tag.
  function tagParts(tag) {
    let shape = "";
    const places = [0];
    for (const c of tag) {
      if (c === "_") shape += "_";
      else if (DIGIT.test(c)) shape += "0";
      else if (UPPER.test(c)) shape += "U";
      else shape += MARK.test(c) && shape ? shape.at(-1) : "l";
      places.push(places.at(-1) + c.length);
    }
    const place = "AI".includes(tag[0]) ? null : /^(?=UU[l0_]+$)UU(?=l)/.exec(shape);
    const parts = /U+(?![Ul])|U+(?=Ul)|U?l+|U|0+/g;
    parts.lastIndex = place ? 2 : 0;
    const found = place ? [[0, 2]] : [];
    for (let part = parts.exec(shape); part; part = parts.exec(shape)) found.push([part.index, part.index + part[0].length]);
    return found.map(([a, b]) => [places[a], places[b]]);
  }

  function* ofTag(text, tag, first) {
    for (const [a, b] of tagParts(tag)) {
      const part = text.slice(first + a, first + b);
      if (isAscii(text) && /^[A-Za-z]+$/.test(part)) yield [word(part), first + a, first + b, ""];
      else yield* pieces(text, first + a, first + b);
    }
  }

  // One ! for all of a run, one ? for all of a run.
  function ofStop(surface, start) {
    const run = surface.replace(/！/g, "!").replace(/？/g, "?");
    const other = run[0] === "!" ? "?" : "!";
    const turn = run.indexOf(other);
    if (turn < 0) return [[run[0], start, start + run.length, ""]];
    return [[run[0], start, start + turn, ""], [other, start + turn, start + run.length, ""]];
  }

  const READ = {
    alone: (found) => composed(found[0]), word: (found) => word(found[0]), short: (found) => word(found.groups.short),
    face: ([face]) => (face[0] === ";" ? ";" : ":") + face.at(-1).toLowerCase(), emoji: (found) => cut(found.groups.one),
  };

  function* pieces(text, start, end) {
    const until = text.slice(0, end);
    let at = start;
    const next = () => { // the parts of a tag are read with the same expression meanwhile
      PIECE.lastIndex = at;
      const found = PIECE.exec(until);
      at = PIECE.lastIndex;
      return found;
    };
    for (let found = next(); found; found = next()) {
      const kind = KINDS.find((name) => found.groups[name] !== undefined);
      const own = found.groups[kind];
      const first = kind === "tag" ? found.index + 1 : found.index;
      if (kind === "tag") yield* ofTag(text, own, first);
      else if (kind === "stop") yield* ofStop(own, first);
      else if (kind === "other") yield [own, first, first + own.length, "punctuation"];
      else yield [FIXED[kind] ?? READ[kind](found), first, first + own.length, ""];
    }
  }

  // Tokens in order, with their place in code points of the text as it was written.
  return function spans(text) {
    const whole = rewrite(text, MOJIBAKE, unmangled);
    const found = [];
    for (const chunk of whole.text.matchAll(CHUNK)) {
      const surface = rewrite(chunk[0], ENTITY, decoded);
      for (const [token, a, b, dropped] of pieces(surface.text, 0, surface.text.length)) {
        const [first, last] = [chunk.index + surface.starts[a], chunk.index + surface.ends[b - 1] - 1];
        found.push({ token, start: whole.starts[first], end: whole.ends[last], dropped });
      }
    }
    return inCodePoints(text, found);
  };
}

// What was written between two tokens and is part of neither is a token, too: one not read.
export function withGaps(text, spans, space) {
  const written = new RegExp(`[^${inside(space)}]+`, "gu");
  const characters = Array.from(text);
  const tokens = [];
  let place = 0;
  const gap = (start, end) => {
    if (start >= end) return;
    const between = characters.slice(start, end).join("");
    const found = Array.from(between.matchAll(written), (m) => ({ token: m[0], start: m.index, end: m.index + m[0].length }));
    for (const one of inCodePoints(between, found)) {
      tokens.push({ token: one.token, start: start + one.start, end: start + one.end, dropped: CLEANED });
    }
  };
  for (const span of spans) {
    gap(place, span.start);
    place = Math.max(place, span.end);
    tokens.push(span);
  }
  gap(place, characters.length);
  return tokens;
}
