// Comments of a document in blocks. Pure.
import type { Entry } from "@yitang/sdk";

/** Comments of one block: drawn, and skipped while off the screen, together. */
export const BLOCK = 100;

export interface Block {
  first: number;
  comments: Entry[];
}

/** Comments in blocks, in order. Blocks that are full are never made again. Pure. */
export function appendToBlocks(blocks: Block[], comments: Entry[]): Block[] {
  const all = blocks.slice();
  for (const entry of comments) {
    const last = all[all.length - 1];
    if (!last || last.comments.length >= BLOCK) all.push({ first: entry.seq, comments: [entry] });
    else all[all.length - 1] = { first: last.first, comments: [...last.comments, entry] };
  }
  return all;
}
