// Who may import whom. The page is a house: kit below, then the room, then the shell, then subjects, each a room of its own
// with no door to another; shell/subjects.ts lists them, and main.ts puts all together.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const src = fileURLToPath(new URL("../src", import.meta.url));
const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((name) => /\.(vue|ts)$/.test(name) && !name.endsWith(".d.ts"));
const textOf = (file: string) => readFileSync(join(src, file), "utf8");
const LIST = "shell/subjects.ts";

/** What stands in `import … from "…"`, `export … from "…"`, `import "…"` and `import("…")`: types, too. */
function specifiersOf(text: string): string[] {
  return [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"([^"]+)"/g)].map((found) => found[1] ?? "");
}
function fileOf(specifier: string, from: string): string {
  const path = normalize(join(dirname(from), specifier));
  const found = [path, `${path}.ts`, `${path}/index.ts`].find((name) => existsSync(join(src, name)) && /\.\w+$/.test(name));
  if (!found) throw new Error(`${from} imports ${specifier}, which is not there`);
  return found;
}
interface Import {
  from: string;
  to: string;
}
const imports: Import[] = files.flatMap((from) =>
  specifiersOf(textOf(from))
    .filter((specifier) => specifier.startsWith("."))
    .map((specifier) => ({ from, to: fileOf(specifier, from) })),
);

/** kit, room, shell, a subject's folder, or a file of the top. */
function floorOf(file: string): string {
  const [first = "", second = ""] = file.split("/");
  return first === "subjects" ? `subjects/${second}` : first;
}
function mayImport({ from, to }: Import): boolean {
  const [floor, other] = [floorOf(from), floorOf(to)];
  if (floor === other) return true;
  if (floor === "kit") return false;
  if (floor === "room") return other === "kit";
  if (floor === "shell") return other === "kit" || other === "room" || (from === LIST && /^subjects\/\w+\/index\.ts$/.test(to));
  if (floor.startsWith("subjects/")) return (other === "kit" || other === "room" || other === "shell") && to !== LIST;
  return from === "main.ts" && !other.startsWith("subjects/");
}

/** A way from a file back to itself; undefined: there is none. */
function circle(edges: Import[]): string[] | undefined {
  const targets = new Map<string, string[]>();
  for (const { from, to } of edges) targets.set(from, [...(targets.get(from) ?? []), to]);
  const done = new Set<string>();
  const walk = (file: string, path: string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const to of targets.get(file) ?? []) {
      const found = walk(to, [...path, file]);
      if (found) return found;
    }
    done.add(file);
    return undefined;
  };
  for (const file of targets.keys()) {
    const found = walk(file, []);
    if (found) return found;
  }
  return undefined;
}

describe("the floors of the page", () => {
  it("are all there is", () => {
    expect(new Set(files.map(floorOf).map((floor) => floor.split("/")[0]))).toEqual(new Set(["kit", "room", "shell", "subjects", "main.ts"]));
    expect(imports.length).toBeGreaterThan(200);
  });

  it("import what is below them, and no subject another", () => {
    expect(imports.filter((one) => !mayImport(one)).map(({ from, to }) => `${from} imports ${to}`)).toEqual([]);
  });

  it("know of no circle, within a floor or between them", () => {
    expect(circle(imports)).toBeUndefined();
  });

  it("the kit knows no contract", () => {
    const told = files.filter((file) => floorOf(file) === "kit" && specifiersOf(textOf(file)).some((specifier) => specifier.startsWith("@yitang/")));
    expect(told).toEqual([]);
  });

  it("kit and room know no subject by name, and no kind of conversation", () => {
    const subjects = readdirSync(join(src, "subjects"));
    const names = new RegExp([...subjects.map((name) => name.replace(/s$/, "")), "ConversationKind"].filter((name) => !["moderation", "account", "display"].includes(name)).join("|"), "i");
    for (const file of files.filter((one) => ["kit", "room"].includes(floorOf(one)))) {
      expect([file, file.endsWith("words.ts") ? undefined : names.exec(textOf(file))?.[0]]).toEqual([file, undefined]);
    }
  });

  it("every subject is in the list, by one line", () => {
    const listed = imports.filter(({ from, to }) => from === LIST && to.startsWith("subjects/")).map(({ to }) => to.split("/")[1]);
    expect(listed.sort()).toEqual(readdirSync(join(src, "subjects")).sort());
  });

  it("what is forbidden is found", () => {
    expect(mayImport({ from: "kit/Sheet.vue", to: "room/rows.ts" })).toBe(false);
    expect(mayImport({ from: "room/Room.vue", to: "shell/client.ts" })).toBe(false);
    expect(mayImport({ from: "room/Room.vue", to: "subjects/displays/hall.ts" })).toBe(false);
    expect(mayImport({ from: "shell/App.vue", to: "subjects/displays/index.ts" })).toBe(false);
    expect(mayImport({ from: LIST, to: "subjects/displays/hall.ts" })).toBe(false);
    expect(mayImport({ from: "subjects/displays/hall.ts", to: "subjects/consultations/state.ts" })).toBe(false);
    expect(mayImport({ from: "subjects/displays/hall.ts", to: LIST })).toBe(false);
    expect(mayImport({ from: "subjects/displays/hall.ts", to: "room/presence.ts" })).toBe(true);
    expect(circle([{ from: "a", to: "b" }, { from: "b", to: "c" }, { from: "c", to: "b" }])).toEqual(["b", "c", "b"]);
    expect(specifiersOf('import a from "./a";\nexport { b } from "./b";\nimport "./c";\nconst d = () => import("./d");')).toEqual(["./a", "./b", "./c", "./d"]);
  });
});
