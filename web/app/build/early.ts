// What a page needs that most come for, asked for with the document itself: on a slow line a file that is found only by
// reading another costs a second.
import type { Plugin } from "vite";
import { type Chunk, firstLoad } from "./budget.ts";

/** Tags for the files that come with `page` beside those that `html` names already. Pure. */
export function earlyTags(html: string, chunks: Chunk[], page: RegExp): string[] {
  const files = firstLoad(chunks, page);
  const scripts = files.map((chunk) => `/${chunk.fileName}`);
  const styles = files.flatMap((chunk) => [...(chunk.viteMetadata?.importedCss ?? [])]).map((name) => `/${name}`);
  return [
    ...styles.filter((file) => !html.includes(`"${file}"`)).map((file) => `<link rel="preload" as="style" crossorigin href="${file}">`),
    ...scripts.filter((file) => !html.includes(`"${file}"`)).map((file) => `<link rel="modulepreload" crossorigin href="${file}">`),
  ];
}

/** `page`: the module of a route. */
export function early(page: RegExp): Plugin {
  return {
    name: "early",
    apply: "build",
    transformIndexHtml: {
      order: "post",
      handler(html, { bundle }) {
        const chunks = Object.values(bundle ?? {}).filter((one) => one.type === "chunk") as unknown as Chunk[];
        return html.replace("</head>", () => `${earlyTags(html, chunks, page).map((tag) => `  ${tag}\n  `).join("")}</head>`);
      },
    },
  };
}
