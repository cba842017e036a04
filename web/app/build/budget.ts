// How much script the room may cost on first load. The build fails above it, so that no change makes it creep up.
import { gzipSync } from "node:zlib";
import type { Plugin } from "vite";

export interface Chunk {
  fileName: string;
  code: string;
  imports: string[];
  isEntry: boolean;
  facadeModuleId: string | null;
  /** Vite's: what styles come with it. */
  viteMetadata?: { importedCss: Set<string> };
}

/** Files of script that a browser loads before `page` stands: the entry, the page's chunk, and what both import. */
export function firstLoad(chunks: Chunk[], page: RegExp): Chunk[] {
  const byName = new Map(chunks.map((chunk) => [chunk.fileName, chunk]));
  const loaded = new Set<Chunk>();
  const load = (chunk: Chunk | undefined): void => {
    if (!chunk || loaded.has(chunk)) return;
    loaded.add(chunk);
    for (const name of chunk.imports) load(byName.get(name));
  };
  const start = chunks.filter((chunk) => chunk.isEntry || page.test(chunk.facadeModuleId ?? ""));
  if (start.length < 2) throw new Error(`no chunk for ${page}`);
  for (const chunk of start) load(chunk);
  return [...loaded];
}

export function gzipBytes(chunks: Chunk[]): number {
  return chunks.reduce((sum, chunk) => sum + gzipSync(chunk.code, { level: 9 }).length, 0);
}

/** `page`: the module of a route; `most`: bytes of gzip. */
export function budget(pages: { name: string; page: RegExp; most: number }[]): Plugin {
  return {
    name: "budget",
    apply: "build",
    generateBundle(_options, bundle) {
      const chunks = Object.values(bundle).filter((one) => one.type === "chunk") as unknown as Chunk[];
      for (const { name, page, most } of pages) {
        const bytes = gzipBytes(firstLoad(chunks, page));
        const told = `${name}: ${(bytes / 1024).toFixed(1)} KiB gzip of script on first load; budget ${most / 1024} KiB`;
        if (bytes > most) this.error(`over budget: ${told}`);
        console.info(told);
      }
    },
  };
}
