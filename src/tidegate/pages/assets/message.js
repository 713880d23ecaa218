// The message: what the model read, tinted by contribution, and the path of the probability.

import { el, svg, shown, table, tint, withSign, percent } from "./dom.js";

const MOST_CHIPS = 400;

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
  if (place < characters.length) line.append(characters.slice(place).join(""));
  return {
    node: line,
    update: () => chips.forEach(([k, chip]) => {
      chip.setAttribute("aria-current", k === at() ? "true" : "false");
    }),
  };
}

export function path(walk, { go, at }) {
  const rows = rowsToShow(walk);
  const points = [[0, walk.path[0][walk.label]]];
  rows.forEach((row, n) => points.push([n + 1, walk.path[row + 1][walk.label]]));
  const [width, height, left, top] = [Math.max(900, 46 * points.length + 60), 180, 44, 14];
  const x = (n) => left + 10 + n * ((width - left - 30) / Math.max(points.length - 1, 1));
  const y = (p) => top + (1 - p) * (height - top - 38);
  const known = points.filter(([, p]) => p !== null);
  const title = `The probability of “${walk.labels[walk.label]}” as each token is read`;
  const marks = [];
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title,
    style: `min-width:${Math.min(width, 640)}px` },
    [0, 0.5, 1].map((p) => [
      svg("line", { class: "aid", x1: left, x2: width - 8, y1: y(p), y2: y(p) }),
      svg("text", { x: left - 6, y: y(p) + 4, "text-anchor": "end" }, p.toFixed(1))]),
    svg("polyline", { class: "path", points: known.map(([n, p]) => `${x(n)},${y(p)}`).join(" ") }),
    known.map(([n, p]) => {
      const row = n ? rows[n - 1] : -1;
      const dot = svg("circle", { cx: x(n), cy: y(p), r: 4, class: "dot",
        onclick: () => row >= 0 && walk.shown.includes(row) && go(walk.shown.indexOf(row)) },
        svg("title", {}, `${n ? walk.tokens[walk.read[row]].token : "nothing read"}: ${shown(p)}`));
      marks.push([row, dot]);
      return dot;
    }),
    points.map(([n]) => svg("text", { x: x(n), y: height - 8 - (n % 2) * 14, "text-anchor": "middle" },
      n ? short(walk.tokens[walk.read[rows[n - 1]]].token) : "∅")));
  return {
    node: el("figure", {}, el("figcaption", {}, title),
      el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": title }, picture)),
    update: () => marks.forEach(([row, dot]) => {
      dot.setAttribute("class", row === walk.shown[at()] ? "dot now" : "dot");
    }),
  };
}

export function short(token, most = 9) {
  const characters = Array.from(token);
  return characters.length > most ? `${characters.slice(0, most - 1).join("")}…` : token;
}

export function words(walk) {
  const first = walk.directions[0];
  const rows = rowsToShow(walk).map((row) => {
    const token = walk.tokens[walk.read[row]];
    return [token.token + (token.known ? "" : " *"), withSign(walk.contributions[row]),
      withSign(walk.left_out[row] === null ? null : -walk.left_out[row]),
      shown(walk.path[row + 1][walk.label]), percent(first.kept[row]), percent(first.written[row]),
      percent(first.saturated[row])];
  });
  const head = ["token", "contributed", "answer without it", "read so far", "kept", "written",
    "gates shut or open"];
  return el("details", {}, el("summary", {}, "The same as a table"),
    table("Token by token, first layer reading forward (* not in the vocabulary)", head, rows));
}
