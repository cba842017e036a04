import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parse } from "vue/compiler-sfc";
import type { Words } from "../src/kit/i18n";

/** Every text of a file of words, by its key: Chinese, then English. */
function flat(words: Words, prefix = ""): Map<string, readonly [zh: string, en: string]> {
  const all = new Map<string, readonly [zh: string, en: string]>();
  for (const [key, value] of Object.entries(words)) {
    if (Array.isArray(value)) all.set(prefix + key, value as unknown as readonly [string, string]);
    else for (const [inner, texts] of flat(value as Words, `${prefix}${key}.`)) all.set(inner, texts);
  }
  return all;
}

interface TemplateNode {
  type: number;
  content?: string | { content?: string };
  children?: TemplateNode[];
  props?: { type: number; name: string; value?: { content: string }; arg?: { content?: string }; exp?: { content?: string } }[];
}
const TEXT = 2;
const INTERPOLATION = 5;
const ATTRIBUTE = 6;
/** Attributes that people see or hear. */
const SPOKEN = new Set(["aria-label", "aria-description", "aria-placeholder", "aria-valuetext", "aria-roledescription", "title", "alt", "placeholder", "label"]);
const KEY = /^[a-z]\w*(\.\w+)+$/i;
const LETTERS = /\p{L}/u;

/** Words that an expression says itself: strings with letters, outside of what is given to a function or compared. */
function literalsOf(expression: string): string[] {
  const outside = expression.replace(/\w+\((?:[^()]|\([^()]*\))*\)/g, "").replace(/[!=]==?\s*(['"`])[^'"`]*\1/g, "").replace(/\[\s*(['"])[^'"]*\1\s*\]/g, "");
  return [...outside.matchAll(/(['"`])([^'"`]*)\1/g)].map((found) => found[2] ?? "").filter((text) => LETTERS.test(text) && !KEY.test(text));
}

/** What a template says that does not come from the catalogues. */
function wordsOf(node: TemplateNode): string[] {
  const words: string[] = [];
  if (node.type === TEXT && typeof node.content === "string" && LETTERS.test(node.content)) words.push(node.content.trim());
  if (node.type === INTERPOLATION && typeof node.content === "object") words.push(...literalsOf(node.content.content ?? ""));
  for (const prop of node.props ?? []) {
    if (prop.type === ATTRIBUTE && SPOKEN.has(prop.name) && LETTERS.test(prop.value?.content ?? "")) words.push(prop.value?.content ?? "");
    if (prop.type !== ATTRIBUTE && SPOKEN.has(prop.arg?.content ?? "")) words.push(...literalsOf(prop.exp?.content ?? ""));
  }
  for (const child of node.children ?? []) words.push(...wordsOf(child));
  return words;
}

const src = fileURLToPath(new URL("../src", import.meta.url));
const names = readdirSync(src, { recursive: true, encoding: "utf8" });
const sources = names
  .filter((name) => /\.(vue|ts)$/.test(name) && !name.endsWith("words.ts"))
  .map((name) => ({ name, text: readFileSync(`${src}/${name}`, "utf8") }));
const files = await Promise.all(
  names
    .filter((name) => name.endsWith("/words.ts"))
    .map(async (name) => ({ name, folder: name.slice(0, -"words.ts".length), words: ((await import(`${src}/${name}`)) as { words: Words }).words })),
);
const all = new Map(files.flatMap(({ words }) => [...flat(words)]));

describe("the words of the page", () => {
  it("are of every floor and subject, each group of them in one file", () => {
    expect(files.length).toBeGreaterThan(6);
    const groups = files.flatMap(({ words }) => Object.keys(words));
    expect(groups.filter((group, index) => groups.indexOf(group) !== index)).toEqual([]);
  });

  it("are in both languages, Chinese first", () => {
    for (const [key, texts] of all) {
      expect([key, texts.length, texts.every((text) => text.trim() !== "")]).toEqual([key, 2, true]);
      // A text of values alone has Chinese marks between them. One letter shows its size in every language.
      const isChinese = [/[\u3000-\u9fff\uff00-\uffef]/.test(texts[0]), /[\u3000-\u9fff\uff00-\uffef]/.test(texts[1])];
      if (key !== "entrance.letter") expect([key, ...isChinese]).toEqual([key, true, false]);
    }
  });

  it("take the same values in both languages", () => {
    const slots = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort();
    for (const [key, [zh, en]] of all) expect([key, slots(en)]).toEqual([key, slots(zh)]);
  });

  it("are all used, those of a subject by itself, and all that are used are there", () => {
    const namedIn = (folder: string) =>
      new Set(sources.filter(({ name }) => name.startsWith(folder)).flatMap(({ text }) => [...text.matchAll(/["'`]([a-z]\w*(?:\.\w+)+)["'`]/gi)].map((found) => found[1] ?? "")));
    for (const { name, folder, words } of files) {
      const named = namedIn(folder.startsWith("subjects/") ? folder : "");
      expect([name, [...flat(words).keys()].filter((key) => !named.has(key))]).toEqual([name, []]);
    }
    const asked = new Set(sources.flatMap(({ text }) => [...text.matchAll(/\bt\(\s*["'`]([^"'`]+)["'`]/g)].map((found) => found[1] ?? "")));
    expect([...asked].filter((key) => !all.has(key))).toEqual([]);
  });

  it("are said by no template and no attribute by itself", () => {
    const told: string[] = [];
    for (const { name, text } of sources.filter((source) => source.name.endsWith(".vue"))) {
      const { template } = parse(text).descriptor;
      if (!template?.ast) throw new Error(`${name} has no template`);
      for (const word of wordsOf(template.ast as unknown as TemplateNode)) told.push(`${name}: ${word}`);
    }
    expect(told).toEqual([]);
  });

  it("that stand in a template of their own are found", () => {
    const found = (template: string) => wordsOf(parse(`<template>${template}</template>`).descriptor.template?.ast as unknown as TemplateNode);
    expect(found("<p>Hello</p>")).toEqual(["Hello"]);
    expect(found('<p :title="x"><img alt="图" src="/a.svg"></p>')).toEqual(["图"]);
    expect(found("<p>{{ x ? 'Open' : t('a.b') }}</p>")).toEqual(["Open"]);
    expect(found(`<button :aria-label="open ? 'Close' : t('a.b', { n: 'x' })" class="plain">·</button>`)).toEqual(["Close"]);
    expect(found('<p aria-live="polite" class="note">{{ t("a.b") }} · {{ number(1) }}</p>')).toEqual([]);
  });

  it("stand nowhere but in the catalogues", () => {
    for (const { name, text } of sources) {
      const code = text.replace(/\/\*[\s\S]*?\*\/|<!--[\s\S]*?-->|\/\/[^\n]*/g, "").replace(/[，。；！？、（）【】《》“”：　]/g, "");
      expect([name, code.match(/[\u4e00-\u9fff]+/g) ?? []]).toEqual([name, []]);
    }
  });
});
