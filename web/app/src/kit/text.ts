// A comment's text as the list shows it: links made safe, long ones folded. Pure.

/** Pieces of a text: links are made here, from text, and lead to the web only. */
export type Piece = { text: string; href?: string };
// Ends where a sentence does: at a space, or a mark that stands in no address.
const LINK = /https?:\/\/[^\s<>"'，。；！？、（）【】《》“”‘’]+/giu;
const TRAIL = /[).,;:!?\]}]+$/;

export function splitLinks(text: string): Piece[] {
  const pieces: Piece[] = [];
  let end = 0;
  for (const found of text.matchAll(LINK)) {
    const href = checkAddress(found[0].replace(TRAIL, ""));
    if (href === undefined) continue;
    if (found.index > end) pieces.push({ text: text.slice(end, found.index) });
    pieces.push({ text: href, href });
    end = found.index + href.length;
  }
  if (end < text.length) pieces.push({ text: text.slice(end) });
  return pieces;
}

/** The address, if it is one of the web and shows where it leads: one with a name before an @ reads as another. */
function checkAddress(text: string): string | undefined {
  try {
    const url = new URL(text);
    const isWeb = url.protocol === "https:" || url.protocol === "http:";
    return isWeb && url.username === "" && url.password === "" ? text : undefined;
  } catch {
    return undefined;
  }
}

const LONG = 280;
const MANY_LINES = 8;

/** Whether there may be a link: most texts have none, and are shown as they are. */
export function mayHaveLink(text: string): boolean {
  return text.includes("://");
}

/** Whether a text is shown folded. */
export function isLong(text: string): boolean {
  if (text.length > LONG) return true;
  let lines = 1;
  for (const character of text) if (character === "\n" && (lines += 1) > MANY_LINES) return true;
  return false;
}

/** The start of a text, cut between characters as people count them (near enough: never within one of two units). */
export function truncate(text: string, most: number): string {
  const characters = Array.from(text.slice(0, most * 2));
  return characters.length <= most && text.length <= most * 2 ? text : `${characters.slice(0, most).join("")}…`;
}

/** The sign of a person in a row: the last resort for a face. Chinese: the surname's first character. */
export function initialOf(name: string): string {
  return Array.from(name.trim())[0]?.toUpperCase() ?? "";
}

/** What to say now, after `before`: the same words twice are no change, and a screen reader says changes alone. A space that
 * nobody hears makes them one. Pure. */
export function distinctText(before: string, now: string): string {
  return before === now ? `${now}\u00a0` : now;
}
