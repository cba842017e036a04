// What the contract says of a text, so that a person is told before sending. The same rules as proto/src/codec.rs.
import { RefusalCode } from "./gen/common_pb.js";

/** A comment's text, bytes of UTF-8. */
export const TEXT_BYTES = 8 * 1024;

const utf8 = new TextEncoder();
// Control characters (but newline, carriage return and tab), and those that turn the direction of what follows.
const FORBIDDEN = /(?![\n\r\t])[\p{Cc}\u202A-\u202E\u2066-\u2069]/u;
const NOTHING = /^[\p{White_Space}\u200B-\u200F\u2060\uFEFF\u00AD]*$/u;

/** Why this text would be refused; undefined: it would not. */
export function checkText(text: string, mostBytes: number = TEXT_BYTES): RefusalCode | undefined {
  // A lone surrogate cannot be written as UTF-8: it would be changed on the way.
  if (text.length * 3 > mostBytes && utf8.encode(text).length > mostBytes) return RefusalCode.TEXT_TOO_LONG;
  if (FORBIDDEN.test(text)) return RefusalCode.TEXT_FORBIDDEN_CHARACTER;
  if (NOTHING.test(text)) return RefusalCode.TEXT_EMPTY;
  return undefined;
}

/** Bytes of UTF-8. */
export function textBytes(text: string): number {
  return utf8.encode(text).length;
}

type Segments = { segment(text: string): Iterable<unknown> };
type Segmenter = new (locale: undefined, options: { granularity: "grapheme" }) => Segments;
const segmenter = (Intl as unknown as { Segmenter?: Segmenter }).Segmenter;
const graphemes = segmenter ? new segmenter(undefined, { granularity: "grapheme" }) : undefined;

/** Characters as people count them. */
export function countCharacters(text: string): number {
  if (!graphemes) return Array.from(text).length;
  let count = 0;
  for (const _ of graphemes.segment(text)) count += 1;
  return count;
}
