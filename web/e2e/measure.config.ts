// Measurements: each by a command of its own, on a machine with nothing else to do.
import { defineConfig } from "@playwright/test";
import suite from "./playwright.config";

const { globalSetup: _, ...rest } = suite;
export default defineConfig({ ...rest, testDir: "measure", workers: 1, maxFailures: 0 });
