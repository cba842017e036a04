// What floods, kills and lets minutes pass: one test after the other, each with services of its own and the whole machine.
import { defineConfig } from "@playwright/test";
import suite from "./playwright.config";

const { globalSetup: _, ...rest } = suite;
export default defineConfig({ ...rest, testDir: "alone", workers: 1 });
