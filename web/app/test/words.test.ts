import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import en from "../src/words/en";
import zh from "../src/words/zh-CN";

type Words = { [key: string]: string | Words };

function flat(words: Words, prefix = ""): Map<string, string> {
  const all = new Map<string, string>();
  for (const [key, value] of Object.entries(words)) {
    if (typeof value === "string") all.set(prefix + key, value);
    else for (const [inner, text] of flat(value, `${prefix}${key}.`)) all.set(inner, text);
  }
  return all;
}

const src = fileURLToPath(new URL("../src", import.meta.url));
const sources = readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((name) => /\.(vue|ts)$/.test(name) && !name.startsWith("words"))
  .map((name) => ({ name, text: readFileSync(`${src}/${name}`, "utf8") }));
const chinese = flat(zh);
const english = flat(en);

describe("the words of the page", () => {
  it("are the same keys in both languages", () => {
    expect([...english.keys()]).toEqual([...chinese.keys()]);
  });

  it("take the same values in both languages", () => {
    const slots = (text: string | undefined) => (text?.match(/\{\w+\}/g) ?? []).sort();
    for (const [key, text] of chinese) expect([key, slots(english.get(key))]).toEqual([key, slots(text)]);
  });

  it("are all used, and all that are used are there", () => {
    const named = new Set(sources.flatMap(({ text }) => [...text.matchAll(/["'`]([a-z]\w*(?:\.\w+)+)["'`]/gi)].map((found) => found[1] ?? "")));
    named.add("name");
    const asked = new Set(sources.flatMap(({ text }) => [...text.matchAll(/\bt\(\s*["'`]([^"'`]+)["'`]/g)].map((found) => found[1] ?? "")));
    expect([...chinese.keys()].filter((key) => !named.has(key))).toEqual([]);
    expect([...asked].filter((key) => !chinese.has(key))).toEqual([]);
  });

  it("stand nowhere but in the catalogues", () => {
    for (const { name, text } of sources) {
      const code = text.replace(/\/\*[\s\S]*?\*\/|<!--[\s\S]*?-->|\/\/[^\n]*/g, "").replace(/[，。；！？、（）【】《》“”：　]/g, "");
      expect([name, code.match(/[\u4e00-\u9fff]+/g) ?? []]).toEqual([name, []]);
    }
  });
});
