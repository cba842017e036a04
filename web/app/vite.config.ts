import { fileURLToPath } from "node:url";
import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";
import { budget } from "./build/budget.ts";
import { compressed } from "./build/compressed.ts";
import { early } from "./build/early.ts";
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
/** Ours that every page has. What JSON on the socket needs is not among it: few speak it. */
const COMMON =
  /web[\\/](sdk[\\/]src[\\/](?!json\.)|app[\\/]src[\\/](kit[\\/](Icon|LinkedText|StateTag|StateLine|device-store|format|i18n|router|routing|text|toasts|words)\.|shell[\\/](client|errors|people|session|settings|title|words)\.))|node_modules[\\/]@bufbuild[\\/]protobuf[\\/](?!.*(json|text-format))/;

export default defineConfig({
  plugins: [
    vue(),
    budget([
      { name: "room", page: /consultations\/RoomPage\.vue$/, most: 120 * KIB },
      { name: "hall", page: /displays\/HallPage\.vue$/, most: 120 * KIB },
    ]),
    early(/consultations\/RoomPage\.vue$/),
    worker(["/seal.svg", "/manifest.webmanifest"]),
    compressed(["seal.svg", "manifest.webmanifest"]),
  ],
  resolve: {
    alias: {
      "@yitang/sdk": here("../sdk/src/index.ts"),
    },
  },
  define: {
    __VUE_OPTIONS_API__: false,
    __VUE_PROD_DEVTOOLS__: false,
    __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: false,
  },
  build: {
    // Safari of iOS 15, and older than the last three years of the others and of the webviews of WeChat and DingTalk.
    target: ["chrome94", "safari15", "firefox100"],
    // The page's policy allows no inline script or data: fonts; nothing is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    rolldownOptions: {
      output: {
        // A browser asks for six files at a time, and on a slow line each time costs half a second: what every page needs is
        // in few. Libraries are apart, for they stay the same over many versions of the page.
        advancedChunks: {
          groups: [
            { name: "libraries", test: /node_modules[\\/](@vue|vue)[\\/]/ },
            { name: "common", test: COMMON },
          ],
        },
      },
    },
  },
  server: { proxy },
  preview: { proxy },
});
