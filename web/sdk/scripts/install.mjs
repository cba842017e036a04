// Installs the package as others get it (built, packed, with its dependencies) into a folder. No registry is asked: the
// dependencies are packed from what `npm ci` has put here.
//
//   node scripts/install.mjs <folder>
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const sdk = join(dirname(fileURLToPath(import.meta.url)), "..");
const folder = resolve(process.argv[2] ?? "");
if (!process.argv[2]) throw new Error("which folder?");
const run = (command, args, cwd) => execFileSync(command, args, { cwd, stdio: ["ignore", "pipe", "inherit"], encoding: "utf8" });

/** Where a package stands, and all that it needs. */
function needed(name, from, found = new Map()) {
  const paths = createRequire(join(from, "package.json")).resolve.paths(name) ?? [];
  const place = paths.map((path) => join(path, name)).find((path) => {
    try {
      return readFileSync(join(path, "package.json")) !== undefined;
    } catch {
      return false;
    }
  });
  if (!place) throw new Error(`${name} is not installed: run npm ci`);
  if (found.has(name)) return found;
  found.set(name, place);
  const { dependencies = {} } = JSON.parse(readFileSync(join(place, "package.json"), "utf8"));
  for (const next of Object.keys(dependencies)) needed(next, place, found);
  return found;
}

const packs = mkdtempSync(join(tmpdir(), "packs-"));
try {
  run("npm", ["run", "-s", "build"], sdk);
  const { dependencies } = JSON.parse(readFileSync(join(sdk, "package.json"), "utf8"));
  const places = new Map();
  for (const name of Object.keys(dependencies)) needed(name, sdk, places);
  const pack = (place) => {
    const [{ filename }] = JSON.parse(run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", packs], place));
    return join(packs, filename.replace(/^@/, "").replace("/", "-"));
  };
  const files = [sdk, ...places.values()].map(pack);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }\n', { flag: "wx" });
  run("npm", ["install", "--offline", "--no-audit", "--no-fund", "--ignore-scripts", ...files], folder);
} finally {
  rmSync(packs, { recursive: true });
}
