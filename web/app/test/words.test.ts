import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parse } from "vue/compiler-sfc";
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
