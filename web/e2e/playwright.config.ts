import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "tests",
  // Real time passes in these tests: one at a time, so that none waits for another's CPU.
  workers: 1,
  timeout: 60_000,
  maxFailures: process.env["CI"] ? 0 : 2,
  expect: { timeout: 15_000 },
  reporter: process.env["CI"] ? [["line"]] : [["list"]],
  outputDir: "../node_modules/.cache/e2e",
  globalSetup: "./support/start.ts",
  use: {
    actionTimeout: 15_000,
    navigationTimeout: 15_000,
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
