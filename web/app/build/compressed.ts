// Files beside each other as .br and .gz: the service sends them as they are.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";

const NAMES = /\.(js|css|html|svg|json|webmanifest)$/;
const LEAST_BYTES = 512;

async function compress(file: string): Promise<void> {
  const source = await readFile(file);
  if (source.length < LEAST_BYTES) return;
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11 };
  await writeFile(`${file}.br`, brotliCompressSync(source, { params }));
  await writeFile(`${file}.gz`, gzipSync(source, { level: 9 }));
}

/** `more`: files that do not come from the bundle (those of public/). */
export function compressed(more: string[] = []): Plugin {
  return {
    name: "compressed",
    apply: "build",
    enforce: "post",
    // When all is written: before that, other plugins still change the files.
    writeBundle: {
      order: "post",
      sequential: true,
      async handler({ dir = "." }, bundle) {
        const names = [...Object.keys(bundle), ...more].filter((name) => NAMES.test(name));
        for (const name of names) await compress(join(dir, name));
      },
    },
  };
}
