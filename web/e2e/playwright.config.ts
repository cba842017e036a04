import { defineConfig } from "@playwright/test";

const CI = Boolean(process.env["CI"]);
/** What a busy machine needs; who waits for something goes on as soon as it is there. */
const PATIENCE_MS = 30_000;

export default defineConfig({
  testDir: "tests",
  // Two files at a time, each with a service of its own. What floods is in `alone` (alone.config.ts).
  workers: process.env["YITANG_URL"] ? 1 : 2,
  fullyParallel: false,
  timeout: 120_000,
  expect: { timeout: PATIENCE_MS },
  retries: 0,
  maxFailures: CI ? 8 : 2,
  reporter: [["list"]],
  outputDir: "../node_modules/.cache/e2e",
  globalSetup: "./support/start.ts",
  use: {
    actionTimeout: PATIENCE_MS,
    navigationTimeout: PATIENCE_MS,
    screenshot: "only-on-failure",
    browserName: "chromium",
    launchOptions: {
      executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
      // Containers run as root, where Chromium's own sandbox cannot.
      args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
    },
    locale: "zh-CN",
    timezoneId: "Asia/Shanghai",
  },
});
