// A packed model back to arrays: text, gzip, a JSON header and the arrays behind it, as pages/packing.py
// made it. Knows nothing of what the arrays mean.

const KINDS = { f4: Float32Array, f2: Uint16Array, i1: Int8Array, i4: Int32Array, u2: Uint16Array, u4: Uint32Array };
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;,=>?@^_`{|}~";

// Five characters for four bytes; the last group may be shorter.
export function fromText(text) {
  const value = new Int16Array(128).fill(-1);
  Array.from(DIGITS).forEach((c, n) => { value[c.charCodeAt(0)] = n; });
  const bytes = new Uint8Array(Math.ceil(text.length / 5) * 4);
  for (let k = 0, at = 0; k < text.length; k += 5, at += 4) {
    let number = 0;
    for (let n = 0; n < 5; n += 1) {
      const digit = k + n < text.length ? value[text.charCodeAt(k + n)] : DIGITS.length - 1;
      if (!(digit >= 0)) throw new Error("its weights hold a character that is none of theirs");
      number = number * 85 + digit;
    }
    bytes[at] = number >>> 24;
    bytes[at + 1] = number >>> 16;
    bytes[at + 2] = number >>> 8;
    bytes[at + 3] = number;
  }
  return bytes.subarray(0, Math.floor((text.length * 4) / 5));
}

export async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// The header's length (4 bytes, little-endian), the header, then the arrays. `at` counts from the end
// of the header, and every array begins at a multiple of 8.
export function unpacked(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(4, 4 + length)));
  const arrays = {};
  for (const { name, kind, shape, at, step } of header.arrays) {
    const size = shape.reduce((product, n) => product * n, 1);
    arrays[name] = tensor(fromPlanes(bytes.subarray(4 + length + at), KINDS[kind], size), { kind, shape, step });
  }
  return { ...header, arrays };
}

// Numbers whose first bytes come first, then their second bytes, and so on.
function fromPlanes(bytes, Kind, size) {
  const width = Kind.BYTES_PER_ELEMENT;
  const whole = new Uint8Array(size * width);
  for (let plane = 0, at = 0; plane < width; plane += 1) {
    for (let k = plane; k < whole.length; k += width, at += 1) whole[k] = bytes[at];
  }
  return new Kind(whole.buffer);
}

// Rows of an array as numbers. Those of half precision, and those written as steps, are turned into
// numbers when a row is asked for: most rows of a large table never are.
function tensor(values, { kind, shape, step }) {
  const width = shape.slice(1).reduce((product, n) => product * n, 1);
  const one = step ? (n) => ((n >>> 1) ^ -(n & 1)) * step : kind === "f2" ? half : null;
  const numbers = (part) => (one ? Float32Array.from(part, one) : part);
  const row = (n) => numbers(values.subarray(n * width, (n + 1) * width));
  return { values, shape, width, length: shape[0], row, all: () => numbers(values), at: (n) => (one ? one(values[n]) : values[n]) };
}

// A number of half precision: sign, 5 bits of exponent, 10 of fraction.
export function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const CRC = new Uint32Array(256).map((_, n) => {
  let value = n;
  for (let k = 0; k < 8; k += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

export function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

// UTF-8 that keeps half a surrogate pair as three bytes, as Python's "surrogatepass" does.
// TextEncoder would replace it.
export function utf8(text) {
  const bytes = [];
  for (const character of text) {
    const c = character.codePointAt(0);
    if (c < 0x80) bytes.push(c);
    else if (c < 0x800) bytes.push(0xc0 | (c >> 6), 0x80 | (c & 63));
    else if (c < 0x10000) bytes.push(0xe0 | (c >> 12), 0x80 | ((c >> 6) & 63), 0x80 | (c & 63));
    else bytes.push(0xf0 | (c >> 18), 0x80 | ((c >> 12) & 63), 0x80 | ((c >> 6) & 63), 0x80 | (c & 63));
  }
  return bytes;
}

// The place of a number in an ascending array, or -1.
export function placeOf(sorted, number) {
  let [low, high] = [0, sorted.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] === number) return middle;
    if (sorted[middle] < number) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}
