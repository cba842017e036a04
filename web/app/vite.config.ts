import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import vue from "@vitejs/plugin-vue";
import { type Plugin, defineConfig } from "vite";

const sdk = fileURLToPath(new URL("../sdk/src/index.ts", import.meta.url));

/** The service behind `npm run dev`; its setting gateway.edge.public_url must name the address of the page. */
const service = process.env["YITANG_URL"] ?? "http://127.0.0.1:8080";

/** Files beside each other as .br and .gz: the service sends them as they are. */
function compressed(): Plugin {
  return {
    name: "compressed",
    apply: "build",
    // When all is written: before that, other plugins still change the files.
    async writeBundle({ dir = "." }, bundle) {
      for (const name of Object.keys(bundle)) {
        if (!/\.(js|css|html|svg|json|webmanifest)$/.test(name)) continue;
        const file = join(dir, name);
        const source = await readFile(file);
        if (source.length < 512) continue;
        const params = { [constants.BROTLI_PARAM_QUALITY]: 11 };
        await writeFile(`${file}.br`, brotliCompressSync(source, { params }));
        await writeFile(`${file}.gz`, gzipSync(source, { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  plugins: [vue(), compressed()],
  resolve: { alias: { "@yitang/sdk": sdk } },
  define: { __VUE_OPTIONS_API__: false, __VUE_I18N_LEGACY_API__: false, __VUE_I18N_FULL_INSTALL__: false, __INTLIFY_PROD_DEVTOOLS__: false },
  build: {
    target: ["es2022", "chrome94", "safari15.4", "firefox100"],
    // The page's policy allows no inline script or data: fonts; nothing is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  server: {
    proxy: {
      "/api": service,
      "/yitang.v1.": service,
      "/ws": { target: service.replace(/^http/, "ws"), ws: true },
    },
  },
});
