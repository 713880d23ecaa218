// Scored rows as a table: sorted by any column, filtered, a page at a time.

import { el, shown } from "./dom.js";
import { decision } from "./score.js";

const PAGE_ROWS = 50;
const MOST_LETTERS = 160;

function cut(value) {
  const text = value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
  const letters = Array.from(text.slice(0, 2 * MOST_LETTERS));
  return letters.length > MOST_LETTERS ? `${letters.slice(0, MOST_LETTERS - 1).join("")}…` : text;
}

const words = new Intl.Collator(undefined, { numeric: true });

function compare(a, b) {
  if (a === null || a === undefined) return b === null || b === undefined ? 0 : 1;
  if (b === null || b === undefined) return -1;
  return typeof a === "number" && typeof b === "number" ? a - b : words.compare(String(a), String(b));
}

function cell(found, row, column, open) {
  if (column.open) {
    return el("th", { scope: "row" }, el("button", { type: "button", class: "rowlink", dir: "auto", title: "Show why", onclick: () => open(row) }, cut(found) || "(empty)"));
  }
  if (column.number) return el("td", { class: "n" }, column.key === null ? String(found) : shown(found));
  return el("td", { dir: "auto" }, column.label ? (found === null ? "not scored" : decision(found)) : cut(found));
}

// The rows that have the letters looked for, in the order asked for; rows without an answer stay last.
function arranged({ rows, columns, find, by, down }, value) {
  const lettered = columns.filter((one) => !one.number);
  const found = find ? rows.filter((row) => lettered.some((one) => String(value(row, one) ?? "").toLowerCase().includes(find))) : rows.slice();
  const column = columns.find(({ key }) => key === by);
  if (by === null) return down ? found.reverse() : found;
  const missing = (one) => one === null || one === undefined;
  return found.sort((a, b) => {
    const [x, y] = [value(a, column), value(b, column)];
    return missing(x) || missing(y) || !down ? compare(x, y) : -compare(x, y);
  });
}

// `columns`: { key, title, number, open }; a column that opens has its cells as buttons.
export function sortedTable({ caption, open }) {
  const state = { rows: [], columns: [], order: [], by: null, down: false, page: 0, find: "", at: null };
  const head = el("tr");
  const body = el("tbody");
  const place = el("span", { class: "soft", role: "status" });
  const turn = (by) => { state.page += by; draw(); };
  const before = el("button", { type: "button", onclick: () => turn(-1) }, "◀ Page before");
  const after = el("button", { type: "button", onclick: () => turn(1) }, "Next page ▶");
  const find = el("input", { id: "find", type: "search", oninput: () => { state.find = find.value.toLowerCase(); state.page = 0; arrange(); } });
  const value = (row, column) => (column.key === null ? state.at.get(row) : row[column.key]);

  function arrange() {
    state.order = arranged(state, value);
    draw();
  }

  function sortBy(column) {
    state.down = state.by === column.key ? !state.down : Boolean(column.number && column.key !== null);
    Object.assign(state, { by: column.key, page: 0 });
    arrange();
  }

  function draw() {
    const pages = Math.max(Math.ceil(state.order.length / PAGE_ROWS), 1);
    state.page = Math.min(Math.max(state.page, 0), pages - 1);
    const from = state.page * PAGE_ROWS;
    const rows = state.order.slice(from, from + PAGE_ROWS);
    body.replaceChildren(...rows.map((row) => el("tr", {}, state.columns.map((column) => cell(value(row, column), row, column, open)))));
    head.querySelectorAll("th").forEach((node, n) => {
      const mine = state.by === state.columns[n].key;
      if (mine) node.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else node.removeAttribute("aria-sort");
    });
    const all = state.rows.length.toLocaleString("en");
    place.textContent = rows.length ? `Rows ${(from + 1).toLocaleString("en")}–${(from + rows.length).toLocaleString("en")} of ${state.order.length.toLocaleString("en")}${state.find ? ` (of ${all})` : ""}`
      : "No row has these letters";
    before.disabled = state.page === 0;
    after.disabled = state.page === pages - 1;
  }

  return {
    node: el("div", {}, el("div", { class: "row spread finding" }, el("div", { class: "row" }, el("label", { for: "find" }, "Find"), find),
      el("div", { class: "row" }, place, before, after)),
    el("div", { class: "wide results", tabindex: "0", role: "region", "aria-label": caption },
      el("table", {}, el("caption", { class: "unseen" }, caption), el("thead", {}, head), body))),
    show: (columns, rows) => {
      Object.assign(state, { columns, rows, by: null, down: false, page: 0, find: "" });
      find.value = "";
      state.at = new Map(rows.map((row, n) => [row, n + 1]));
      head.replaceChildren(...columns.map((column) => el("th", { scope: "col", class: column.number ? "n" : null },
        el("button", { type: "button", class: "sort", onclick: () => sortBy(column) }, column.title))));
      arrange();
    },
  };
}
