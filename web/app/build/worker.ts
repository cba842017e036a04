// Writes the service worker with the names of what this build is made of. Its version is a hash of them: a build that
// changes nothing is no new version.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";

const SOURCE = fileURLToPath(new URL("../worker/sw.js", import.meta.url));

/** `more`: addresses of files that do not come from the bundle. */
export function worker(more: string[]): Plugin {
  return {
    name: "worker",
    apply: "build",
    enforce: "post",
    generateBundle: {
      order: "post",
      async handler(_options, bundle) {
        const files = Object.keys(bundle)
          .filter((name) => /\.(js|css)$/.test(name))
          .sort()
          .map((name) => `/${name}`);
        const page = bundle["index.html"];
        const hash = createHash("sha256").update(files.join("\n"));
        if (page?.type === "asset") hash.update(page.source);
        const text = await readFile(SOURCE, "utf8");
        const source = text
          .replace("__VERSION__", hash.digest("hex").slice(0, 12))
          .replace("__FILES__", JSON.stringify(["/", ...files, ...more]));
        this.emitFile({ type: "asset", fileName: "sw.js", source });
      },
    },
  };
}
