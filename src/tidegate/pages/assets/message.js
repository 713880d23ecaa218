// The message: what the model read, tinted by contribution, and the path of the probability.

import { el, sideways, svg, shown, table, tint, towards, withSign, percent } from "./dom.js";
import { keptShare } from "./telling.js";

const MOST_CHIPS = 400;
const SPECIAL = { "<num>": "a number", "<url>": "a link", "<user>": "a user’s name", "<pad>": "padding, up to the length that is read",
  "<unk>": "a word out of the vocabulary" };

// A walk's rows worth a line: of a run of padding, only the first.
export function rowsToShow(walk) {
  return walk.read.map((_, row) => row).filter((row) => {
    const [now, before] = [walk.tokens[walk.read[row]], walk.tokens[walk.read[row - 1]]];
    return row === 0 || now.start >= 0 || before.start >= 0;
  });
}

export function message(walk, { go, at }) {
  const characters = Array.from(walk.text);
  const rowOf = new Map(walk.read.map((number, row) => [number, row]));
  const largest = Math.max(...walk.contributions.map(Math.abs), 1e-9);
  const chips = [];
  const line = el("p", { class: "message", dir: "auto" });
  let place = 0;
  walk.tokens.forEach((token, number) => {
    if (token.start < 0 || token.end > characters.length || number >= MOST_CHIPS) return;
    if (token.start > place) line.append(characters.slice(place, token.start).join(""));
    const words = characters.slice(Math.max(token.start, place), token.end).join("");
    place = Math.max(place, token.end);
    const row = rowOf.get(number);
    if (row === undefined) {
      line.append(el("s", { title: `not read: ${token.dropped}` }, words));
      return;
    }
    const k = walk.shown.indexOf(row);
    const about = `${withSign(walk.contributions[row])}${token.known ? "" : ", not in the vocabulary"}`;
    const chip = el("button", {
      type: "button", class: token.known ? "chip" : "chip unknown", disabled: k < 0,
      title: k < 0 ? "its gates were left out of this page" : `contributed ${about}`,
      style: `background:${tint(walk.contributions[row], largest)}`, onclick: () => go(k),
    }, words || token.token);
    chips.push([k, chip]);
    line.append(chip);
  });
  const rest = characters.slice(place).join("");
  const cut = rest.trim() !== "";
  line.append(el("span", { class: "soft" }, rest));
  return {
    node: el("div", {}, line, cut ? el("p", { class: "soft" }, "What stands in grey at the end is not marked word by word.") : null, special(walk)),
    update: () => chips.forEach(([k, chip]) => {
      chip.setAttribute("aria-current", k === at() ? "true" : "false");
    }),
  };
}

// One line on the tokens that stand for something else, with what was written in their place.
function special(walk) {
  const characters = Array.from(walk.text);
  const found = new Map();
  for (const number of walk.read) {
    const { token, start, end } = walk.tokens[number];
    if (!(token in SPECIAL) || found.has(token)) continue;
    const written = start < 0 ? "" : characters.slice(start, end).join("");
    found.set(token, `${token} is ${SPECIAL[token]}${written && written !== token ? ` (here “${short(written, 30)}”)` : ""}`);
  }
  return found.size ? el("p", { class: "soft special" }, `The model reads one token for all of a kind: ${[...found.values()].join("; ")}.`) : null;
}

// What came from the LSTM, and what from the linear branch beside it.
function parts(walk) {
  if (!walk.ngrams) return null;
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const through = sum(walk.ngrams.contributions);
  return el("p", { class: "soft" }, `From there, the LSTM below brings ${withSign(sum(walk.contributions) - through)} `
    + `and a linear model of words and characters beside it ${withSign(through)}: `
    + `in the answer's logit the two are weighed ${percent(1 - walk.ngrams.share)} to ${percent(walk.ngrams.share)}.`);
}

// `brief` where the page tells the answer itself: then only what the colours mean.
export function answer(walk, { brief = false } = {}) {
  return el("div", {}, brief ? el("p", {}, marks(walk)) : verdict(walk), parts(walk));
}

function verdict(walk) {
  const decided = Array.isArray(walk.decided) ? walk.decided.join(", ") || "no label" : walk.decided;
  return el("p", { class: "answer" }, el("strong", {}, shown(walk.probabilities[walk.label])),
    ` is the probability of “${walk.labels[walk.label]}”; the model decides: ${decided}. `, marks(walk));
}

function marks(walk) {
  return el("span", { class: "soft" }, walk.estimated ? el("strong", {}, "First estimates; what is exact is being worked out. ") : "",
    `As many tokens that say nothing would give ${shown(walk.baseline)}. From there `,
      el("span", { class: "swatch plus" }, "blue"), " words raise it and ",
      el("span", { class: "swatch minus" }, "orange"), " ones lower it.",
      walk.tokens.some((token) => token.dropped) ? [" ", el("s", {}, "Struck out"), ": not read."] : "",
      walk.read.some((number) => !walk.tokens[number].known)
        ? [" ", el("span", { class: "unknown" }, "Dotted"), ": not in the vocabulary."] : "");
}

// The axes and words under the path, one for each point.
function frame(names, { width, left, x, y }) {
  const room = names.length > 1 ? x(1) - x(0) : width;
  const most = Math.max(Math.floor((2 * room) / 8.2), 3);
  const crowded = names.some((name) => Array.from(name).length * 8.2 > room);
  return [
    [0, 0.5, 1].map((p) => [
      svg("line", { class: "aid", x1: left, x2: width - 8, y1: y(p), y2: y(p) }),
      svg("text", { x: left - 8, y: y(p) + 4, "text-anchor": "end" }, p.toFixed(1))]),
    names.map((name, n) => svg("text", { x: x(n), y: y(0) + 22 + (crowded ? n % 2 : 0) * 16,
      "text-anchor": "middle", class: n ? null : "aside" }, short(name, crowded ? most : 40))),
  ];
}

// The width that a walk's path needs for its words.
export function pathWidth(walk) {
  return 48 * (rowsToShow(walk).length + 1) + 60;
}

// `width` at least; paths that are given one `room` are drawn at one scale.
export function path(walk, { go, at, width = 1000, room = pathWidth(walk), name = "" }) {
  const rows = rowsToShow(walk);
  const points = [[0, -1], ...rows.map((row, n) => [n + 1, row])].map(([n, row]) => [n, row, walk.path[row + 1][walk.label]]);
  const space = { width: Math.max(width, room), height: 180, left: 36 };
  space.x = (n) => space.left + 34 + n * ((space.width - space.left - 76) / Math.max(points.length - 1, 1));
  space.y = (p) => 24 + (1 - p) * (space.height - 68);
  const { x, y } = space;
  const token = (row) => (row < 0 ? "nothing" : walk.tokens[walk.read[row]].token);
  const known = points.filter(([, , p]) => p !== null);
  const title = `The probability of “${walk.labels[walk.label]}” as each token is read`;
  const reading = svg("text", { class: "number", "text-anchor": "middle" });
  const marks = known.map(([n, row, p]) => [row, n, p, svg("circle", { cx: x(n), cy: y(p), r: 4.5, class: "dot",
    onclick: () => row >= 0 && walk.shown.includes(row) && go(walk.shown.indexOf(row)) },
    svg("title", {}, `${token(row)}: ${shown(p)}`))]);
  const picture = svg("svg", { viewBox: `0 0 ${space.width} ${space.height}`, role: "img", "aria-label": title,
    style: `min-width:${Math.round(0.7 * room)}px;max-width:${space.width}px` }, frame(points.map(([, row]) => token(row)), space),
    svg("polyline", { class: "path", points: known.map(([n, , p]) => `${x(n)},${y(p)}`).join(" ") }),
    marks.map(([, , , dot]) => dot), reading);
  const scroller = sideways(`${title}${name}`, picture);
  return {
    node: el("figure", {}, el("figcaption", {}, title), scroller),
    update: () => marks.forEach(([row, n, p, dot]) => {
      const now = row === walk.shown[at()];
      dot.setAttribute("class", now ? "dot now" : "dot");
      if (!now) return;
      reading.textContent = shown(p);
      reading.setAttribute("x", x(n));
      reading.setAttribute("y", y(p) - 13);
      towards(scroller, x(n) / space.width);
    }),
  };
}

export function short(token, most = 9) {
  const characters = Array.from(token);
  return characters.length > most ? `${characters.slice(0, most - 1).join("")}…` : token;
}

export function words(walk, name = "") {
  const first = walk.directions[0];
  const rows = rowsToShow(walk).map((row) => {
    const token = walk.tokens[walk.read[row]];
    const through = walk.ngrams ? [withSign(walk.ngrams.contributions[row])] : [];
    return [token.token + (token.known ? "" : " *"), withSign(walk.contributions[row]), ...through,
      withSign(walk.left_out[row] === null ? null : -walk.left_out[row]),
      shown(walk.path[row + 1][walk.label]), keptShare(walk, first, row), percent(first.written[row]),
      percent(first.saturated[row])];
  });
  const head = ["token", "contributed", ...(walk.ngrams ? ["of it by n-grams"] : []), "answer without it", "read so far", "kept", "written",
    "gates shut or open"];
  return el("details", {}, el("summary", {}, "The same as a table"),
    table(`Token by token${name}, first layer reading forward (* not in the vocabulary)`, head, rows));
}
