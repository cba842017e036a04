import { describe, expect, it } from "vitest";
import { distinctText, isLong, splitLinks, initialOf, truncate } from "../src/kit/text";

describe("a comment's text", () => {
  it("links are made of web addresses only, and end where the sentence does", () => {
    expect(splitLinks("见 https://www.zj.gov.cn/a?b=1。好")).toEqual([
      { text: "见 " },
      { text: "https://www.zj.gov.cn/a?b=1", href: "https://www.zj.gov.cn/a?b=1" },
      { text: "。好" },
    ]);
    expect(splitLinks("（http://a.cn/x）, https://b.cn.")).toMatchObject([{ text: "（" }, { href: "http://a.cn/x" }, { text: "）, " }, { href: "https://b.cn" }, { text: "." }]);
    for (const text of ["javascript:alert(1) <b>粗</b>", "ftp://a.cn", "www.a.cn", "data:text/html,x"]) expect(splitLinks(text)).toEqual([{ text }]);
  });

  it("an address that reads as another is no link", () => {
    for (const text of ["https://www.zj.gov.cn@evil.example/x", "https://a:b@evil.example"]) expect(splitLinks(text)).toEqual([{ text }]);
  });

  it("its pieces together are the text", () => {
    for (const text of ["", "没有链接", "https://a.cn", "a https://a.cn b https://b.cn c"]) {
      expect(splitLinks(text).map((piece) => piece.text).join("")).toBe(text);
    }
  });

  it("is folded when it is long, or has many lines", () => {
    expect(isLong("字".repeat(280))).toBe(false);
    expect(isLong("字".repeat(281))).toBe(true);
    expect(isLong("一\n".repeat(7))).toBe(false);
    expect(isLong("一\n".repeat(8))).toBe(true);
  });

  it("is cut between characters, never within one", () => {
    expect(truncate("一二三", 3)).toBe("一二三");
    expect(truncate("一二三四", 3)).toBe("一二三…");
    expect(truncate("👍👍👍", 2)).toBe("👍👍…");
  });

  it("a sign is the name's first character", () => {
    expect([initialOf("曹勇泽"), initialOf(" li"), initialOf("𠮷野"), initialOf("")]).toEqual(["曹", "L", "𠮷", ""]);
  });
});

describe("what a screen reader is told", () => {
  it("changes with every sentence, also where the same is said again and again", () => {
    const said = "同意";
    const heard = [distinctText("", said)];
    for (let time = 0; time < 4; time += 1) heard.push(distinctText(heard.at(-1) ?? "", said));
    for (const [index, words] of heard.entries()) {
      expect(words.trim()).toBe(said);
      expect(words).not.toBe(heard[index - 1]);
    }
  });
});
