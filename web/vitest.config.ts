import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { alias: { "@yitang/sdk": fileURLToPath(new URL("sdk/src/index.ts", import.meta.url)) } },
  test: { include: ["sdk/test/**/*.test.ts", "app/test/**/*.test.ts"], environment: "node" },
});
