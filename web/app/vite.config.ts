import { fileURLToPath } from "node:url";
import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";
import { budget } from "./build/budget.ts";
import { compressed } from "./build/compressed.ts";
import { worker } from "./build/worker.ts";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The service behind `npm run dev`; its setting gateway.edge.public_url must name the address of the page. */
const service = process.env["YITANG_URL"] ?? "http://127.0.0.1:8080";
const proxy = {
  "/api": service,
  "/yitang.v1.": service,
  "/ws": { target: service.replace(/^http/, "ws"), ws: true },
};
const KIB = 1024;

export default defineConfig({
  plugins: [
    vue(),
    budget([
      { name: "room", page: /pages\/Room\.vue$/, most: 120 * KIB },
      { name: "hall", page: /pages\/Hall\.vue$/, most: 120 * KIB },
    ]),
    worker(["/seal.svg", "/manifest.webmanifest"]),
    compressed(["seal.svg", "manifest.webmanifest"]),
  ],
  resolve: {
    alias: {
      "@yitang/sdk": here("../sdk/src/index.ts"),
      // Messages are functions already (src/words): no compiler of messages is shipped.
      "vue-i18n": "vue-i18n/dist/vue-i18n.runtime.esm-bundler.js",
    },
  },
  define: {
    __VUE_OPTIONS_API__: false,
    __VUE_PROD_DEVTOOLS__: false,
    __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: false,
    __VUE_I18N_LEGACY_API__: false,
    __VUE_I18N_FULL_INSTALL__: false,
    __INTLIFY_PROD_DEVTOOLS__: false,
    __INTLIFY_DROP_MESSAGE_COMPILER__: true,
  },
  build: {
    // Safari of iOS 15, and older than the last three years of the others and of the webviews of WeChat and DingTalk.
    target: ["chrome94", "safari15", "firefox100"],
    // The page's policy allows no inline script or data: fonts; nothing is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  server: { proxy },
  preview: { proxy },
});
