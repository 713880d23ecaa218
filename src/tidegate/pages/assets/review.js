// Doubtful labels, one after another: keep, change or skip, by mouse or by key; the changes as a CSV.

import { el, shown } from "./dom.js";

const root = document.getElementById("page");
const { rows, labels, source } = JSON.parse(document.getElementById("data").textContent);
const state = { at: 0, done: new Map(), saved: true };
const MOST_KEYS = 9;

const choicesOf = (row) => (row.column ? ["0", "1"] : labels);

function csvCell(value) {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function changes() {
  return rows.filter((row, n) => state.done.has(n) && ![row.given, null].includes(state.done.get(n)))
    .map((row) => [row.row, row.column, row.given, state.done.get(rows.indexOf(row)), row.text]);
}

function save() {
  const lines = [["row", "column", "before", "after", "text"], ...changes()].map((line) => line.map(csvCell).join(","));
  const link = el("a", { href: URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "text/csv" })), download: "corrections.csv" });
  link.click();
  URL.revokeObjectURL(link.href);
  state.saved = true;
}

function decide(label) {
  state.done.set(state.at, label);
  state.saved = false;
  move(1);
}

function move(by) {
  state.at = Math.min(Math.max(state.at + by, 0), rows.length);
  draw();
}

// What became of a row: its label kept, changed, skipped, or nothing yet.
function fate(n) {
  if (!state.done.has(n)) return "";
  const label = state.done.get(n);
  return label === null ? "skipped" : label === rows[n].given ? "kept" : `changed to “${label}”`;
}

function card(row) {
  const others = choicesOf(row).filter((label) => label !== row.given);
  const order = [row.likeliest, ...others.filter((label) => label !== row.likeliest)].filter((label) => label !== row.given);
  const choose = order.map((label, n) => el("button", { type: "button", onclick: () => decide(label), "aria-keyshortcuts": n < MOST_KEYS ? String(n + 1) : null },
    label, n < MOST_KEYS ? el("kbd", {}, String(n + 1)) : null));
  return [
    el("p", { class: "soft" }, `${state.at + 1} of ${rows.length}, row ${row.row} of ${source}`, fate(state.at) ? `: ${fate(state.at)}` : ""),
    el("p", { class: "message", dir: "auto" }, row.text),
    el("p", {}, row.column ? `Its “${row.column}” is ` : "Its label is ", el("strong", {}, row.given), `, to which models that did not learn from it give ${shown(row.probability, 3)}. `,
      row.likeliest === row.given ? "" : ["They find ", el("strong", {}, row.likeliest), " likeliest."]),
    el("div", { class: "controls" }, el("button", { type: "button", class: "main", onclick: () => decide(row.given) }, "Keep it", el("kbd", {}, "K")),
      el("button", { type: "button", onclick: () => decide(null) }, "Skip", el("kbd", {}, "S")),
      el("button", { type: "button", onclick: () => move(-1), disabled: state.at === 0 }, "Back", el("kbd", {}, "←"))),
    el("p", { class: "soft" }, order.length > MOST_KEYS ? "Or change it, by key to one of the first nine:" : "Or change it:"),
    el("div", { class: "controls", role: "group", "aria-label": "Change it" }, choose),
  ];
}

function draw() {
  const counts = [...state.done].reduce((all, [n, label]) => { all[label === null ? 2 : label === rows[n].given ? 0 : 1] += 1; return all; }, [0, 0, 0]);
  const row = rows[state.at];
  root.replaceChildren(
    el("h1", {}, "Labels to look at again"),
    el("p", { class: "soft" }, "Rows whose label is least likely by models that did not learn from them, the least likely first. Nothing leaves this page."),
    el("section", { class: "card", "aria-live": "polite" }, row ? card(row) : [el("p", {}, "That was the last row."), el("button", { type: "button", onclick: () => move(-1) }, "Back")]),
    el("p", { role: "status" }, `${counts[0]} kept, ${counts[1]} changed, ${counts[2]} skipped.`),
    el("div", { class: "controls" }, el("button", { type: "button", class: "main", disabled: counts[1] === 0, onclick: save }, "Save corrections.csv")),
    el("p", { class: "soft" }, `Then, with --text, --label and --label-separator if they were given: tidegate review ${source} --apply corrections.csv -o corrected.csv`));
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const row = rows[state.at];
  const buttons = root.querySelectorAll("[aria-label='Change it'] button");
  const key = event.key.toLowerCase();
  const act = { k: row && (() => decide(row.given)), s: row && (() => decide(null)), arrowleft: () => move(-1), arrowright: row && (() => move(1)) }[key]
    ?? (/^[1-9]$/.test(key) && buttons[Number(key) - 1] ? () => buttons[Number(key) - 1].click() : null);
  if (!act) return;
  event.preventDefault();
  act();
});
addEventListener("beforeunload", (event) => { if (!state.saved && changes().length) event.preventDefault(); });
draw();
