// Words to numbers: the vocabulary, pretrained vectors by word pieces, and the linear branch of words,
// pairs and characters. As engine/vectors.py and engine/ngrams.py have them.

import { crc32, placeOf, utf8 } from "./engine_bytes.js";

// Byte-pair pieces: the two neighbours that make the piece of lowest id are joined, the leftmost of
// equals. A token has 64 characters at most, so looking at all pairs each time is fast enough.
export function bytePairs(word, index) {
  const parts = ["▁", ...word];
  for (;;) {
    let [best, place] = [Infinity, -1];
    for (let k = 0; k + 1 < parts.length; k += 1) {
      const id = index.get(parts[k] + parts[k + 1]);
      if (id !== undefined && id < best) [best, place] = [id, k];
    }
    if (place < 0) break;
    parts.splice(place, 2, parts[place] + parts[place + 1]);
  }
  return parts.flatMap((part) => {
    if (index.has(part)) return [index.get(part)];
    const spelled = /^[\ud800-\udfff]$/u.test(part) ? [63] : utf8(part);
    return spelled.map((byte) => index.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`)).filter((id) => id !== undefined);
  });
}

function cutter(pieces) {
  if (!pieces) return () => [];
  const { pieces: parts = [], words: listed = [] } = pieces;
  const index = new Map(parts.map((piece, id) => [piece, id]));
  const whole = new Map(listed.map((word, n) => [word, parts.length + n]));
  return (word) => (whole.has(word) ? [whole.get(word)] : parts.length ? bytePairs(word, index) : []);
}

// The mean of some rows, zeros of none.
function mean(ids, rowOf, width) {
  const sums = new Float64Array(width);
  for (const id of ids) rowOf(id).forEach((value, k) => { sums[k] += value; });
  return ids.length ? sums.map((value) => value / ids.length) : sums;
}

function scaled(rows, scales) {
  return (n) => {
    const scale = scales ? scales.at(n) : 1;
    return Float64Array.from(rows.row(n), (value) => value * scale);
  };
}

// The first layer's input of a word: its pretrained vector, then its trained one.
export function wordInputs({ arrays, tokens, pieces }) {
  const embedding = arrays["embedding.weight"];
  const [vectors, words] = [arrays["vectors.weight"], arrays["words.weight"]];
  const cutWord = cutter(pieces);
  const pieceRow = vectors && scaled(vectors);
  const unknown = Math.min(1, tokens.length - 1);
  return (word, id) => {
    const known = id < tokens.length;
    const trained = embedding.row(known ? id : unknown);
    if (!vectors) return Float64Array.from(trained);
    const pretrained = id === 0 ? new Float64Array(vectors.width) : known ? words.row(id) : mean(cutWord(word), pieceRow, vectors.width);
    return Float64Array.from([...pretrained, ...trained]);
  };
}

export function characterRuns(word) {
  const characters = Array.from(word);
  if (characters.length > 1 && word[0] === "<") return [];
  const marked = ["\x02", ...characters.slice(0, 64), "\x03"];
  const runs = [];
  for (let size = 2; size <= 5; size += 1) {
    for (let k = 0; k + size <= marked.length; k += 1) runs.push(crc32(utf8(marked.slice(k, k + size).join(""))));
  }
  return runs;
}

// What a word brings to the linear branch: a value for each output, and last its squared features.
function gramRows({ arrays, tokens, pieces }) {
  const own = (name) => arrays[`ngrams.${name}`];
  const width = own("word_rows").width;
  const [wordRow, runRow] = ["word", "run"].map((name) => scaled(own(`${name}_rows`), own(`${name}_scales`)));
  const hasPieces = Boolean(pieces && own("piece_rows"));
  const pieceRow = hasPieces ? scaled(own("piece_rows"), own("piece_scales")) : null;
  const cutWord = cutter(pieces);
  const output = own("piece_output");

  function ofPieces(word) {
    const found = mean(cutWord(word), pieceRow, own("piece_rows").width);
    if (!output) return found;
    const through = new Float64Array(width);
    found.forEach((value, k) => output.row(k).forEach((weight, j) => { through[j] += value * weight; }));
    return through;
  }

  return (word, id) => {
    const row = new Float64Array(width + 1);
    if (id < tokens.length) {
      row.set(wordRow(id));
      row[width] = own("word_norms").at(id);
      return row;
    }
    const often = new Map();
    for (const run of characterRuns(word)) {
      const place = placeOf(own("run_hashes").values, run);
      if (place >= 0) often.set(place, (often.get(place) ?? 0) + 1);
    }
    for (const [place, count] of often) {
      runRow(place).forEach((value, k) => { row[k] += value * count; });
      row[width] += own("run_norms").at(place) * count ** 2;
    }
    if (hasPieces) ofPieces(word).forEach((value, k) => { row[k] += value; });
    return row;
  };
}

export function ngramBranch(model) {
  const { arrays, tokens } = model;
  const own = (name) => arrays[`ngrams.${name}`];
  const [n, width] = [tokens.length, own("word_rows").width];
  const pairs = own("pairs");
  const keys = Float64Array.from({ length: pairs.length }, (_, k) => pairs.values[2 * k] * (n + 2) + pairs.values[2 * k + 1]);
  const pairRow = scaled(own("pair_rows"), own("pair_scales"));
  const [bias, floor] = [Float64Array.from(own("bias").all()), own("floor").at(0)];

  // The known pairs of neighbours: [place, row], where place j joins tokens j − 1 and j.
  function known(ids) {
    const read = [n, ...ids.map((id) => (id >= n ? Math.min(1, n - 1) : id)), n + 1];
    if (read.at(-2) === 0) read[read.length - 2] = n; // padding is no word: an empty message has its marks alone
    return read.slice(1).map((right, j) => [j, placeOf(keys, read[j] * (n + 2) + right)]).filter(([, row]) => row >= 0);
  }

  function sums(words, found) {
    const total = new Float64Array(width + 1);
    for (const { gram } of words) gram.forEach((value, k) => { total[k] += value; });
    for (const [, row] of found) {
      pairRow(row).forEach((value, k) => { total[k] += value; });
      total[width] += own("pair_norms").at(row);
    }
    return total;
  }

  const norm = (total) => Math.sqrt(Math.max(total[width], floor));

  function logits(words) {
    const total = sums(words, known(words.map(({ id }) => id)));
    return bias.map((value, k) => value + total[k] / norm(total));
  }

  // What each token brings to the logits; a pair of two words is shared by them.
  function shares(words) {
    const found = known(words.map(({ id }) => id));
    const whole = norm(sums(words, found));
    const each = words.map(({ gram }) => gram.slice(0, width));
    for (const [place, row] of found) {
      const owners = [place - 1, place].filter((t) => t >= 0 && t < words.length);
      const values = pairRow(row);
      for (const t of owners) values.forEach((value, k) => { each[t][k] += value / owners.length; });
    }
    return each.map((values) => values.map((value) => value / whole));
  }

  return { bias, logits, shares, row: gramRows(model) };
}
