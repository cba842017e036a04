// What floods: with a service of its own and the whole machine, after the others.
import { defineConfig } from "@playwright/test";
import suite from "./playwright.config";

const { globalSetup: _, ...rest } = suite;
export default defineConfig({ ...rest, testDir: "alone", workers: 1 });
