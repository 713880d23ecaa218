// Tables as text: the header of a file that was chosen, and scored rows as CSV.

// What a spreadsheet may take for the beginning of a formula, unless it is a number.
const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/;
const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;

// The first row's cells; a quoted cell may hold marks and line ends.
export function firstRow(text, mark) {
  const cells = [];
  const cell = new RegExp(`(?:"((?:[^"]|"")*)"|([^${mark}\\r\\n]*))(${mark}|\\r?\\n|$)`, "y");
  cell.lastIndex = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  for (;;) {
    const found = cell.exec(text);
    if (!found) return cells;
    cells.push(found[1] === undefined ? found[2] : found[1].replaceAll('""', '"'));
    if (found[3] !== mark) return cells;
  }
}

// The columns of a file by its beginning, or none where they cannot be told.
export function columnsOf(text, format) {
  if (format === "csv" || format === "tsv") return firstRow(text, format === "tsv" ? "\t" : text.split("\n", 1)[0].includes(",") ? "," : ";");
  try {
    return format === "jsonl" ? Object.keys(JSON.parse(text.split("\n", 1)[0])) : [];
  } catch {
    return [];
  }
}

function written(value, harmless) {
  let text = value === null || value === undefined ? ""
    : Array.isArray(value) ? value.join(";") : typeof value === "object" ? JSON.stringify(value) : String(value);
  if (harmless && FORMULA.test(text) && !NUMBER.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}

// Rows as CSV, a part at a time, so that no one string has to hold all of it.
export function csvParts(columns, rows, { harmless = false, decimals = new Set() } = {}) {
  const line = (cells) => `${cells.map((cell) => written(cell, harmless)).join(",")}\r\n`;
  const parts = [line(columns)];
  for (let from = 0; from < rows.length; from += 1000) {
    parts.push(rows.slice(from, from + 1000).map((row) => line(columns.map((name) =>
      (decimals.has(name) && typeof row[name] === "number" ? row[name].toFixed(6) : row[name])))).join(""));
  }
  return parts;
}
