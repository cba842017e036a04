import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Backoff, RefusalCode, RefusalError, checkText, countCharacters, invitesReconnect, uuidv7 } from "../src/index.js";

describe("Backoff", () => {
  it("waits as the server says, doubling up to its most", () => {
    const backoff = new Backoff({ minMs: 100, jitterMs: 100, maxMs: 1_000 }, () => 0.5);
    expect([1, 2, 3, 4, 5].map(() => backoff.next())).toEqual([150, 300, 600, 1_000, 1_000]);
    backoff.reset();
    backoff.setRule({ minMs: 2_000, jitterMs: 0, maxMs: 60_000 });
    expect(backoff.next()).toBe(2_000);
  });
  it("never waits longer than the most, nor less than nothing", () => {
    fc.assert(
      fc.property(fc.nat(1e5), fc.nat(1e5), fc.nat(1e5), fc.float({ min: 0, max: 1, noNaN: true }), (minMs, jitterMs, maxMs, random) => {
        const backoff = new Backoff({ minMs, jitterMs, maxMs }, () => random);
        for (let tries = 0; tries < 70; tries += 1) {
          const wait = backoff.next();
          expect(wait).toBeGreaterThanOrEqual(0);
          expect(wait).toBeLessThanOrEqual(Math.max(maxMs, minMs, 30_000));
        }
      }),
    );
  });
});

describe("close codes", () => {
  it("the number alone tells whether to come back", () => {
    for (const code of [1001, 1006, 3000, 3005, 4000, 4400]) expect(invitesReconnect(code)).toBe(true);
    for (const code of [3500, 3504, 4500]) expect(invitesReconnect(code)).toBe(false);
  });
});

describe("texts", () => {
  it("are held to what the server takes", () => {
    expect(checkText("同意！\n第二行\t。")).toBeUndefined();
    expect(checkText(" \u200b\n　")).toBe(RefusalCode.TEXT_EMPTY);
    expect(checkText("a\u0000b")).toBe(RefusalCode.TEXT_FORBIDDEN_CHARACTER);
    expect(checkText("a\u202eb")).toBe(RefusalCode.TEXT_FORBIDDEN_CHARACTER);
    expect(checkText("议".repeat(2_730))).toBeUndefined();
    expect(checkText("议".repeat(2_731))).toBe(RefusalCode.TEXT_TOO_LONG);
    expect(checkText("a".repeat(8_192))).toBeUndefined();
  });
  it("are counted as people count", () => {
    expect(countCharacters("议堂👩‍👩‍👧é")).toBe(4);
  });
});

describe("uuidv7", () => {
  it("is of version 7, and sorts by time", () => {
    const early = uuidv7(1_000);
    const late = uuidv7(2 ** 41);
    expect(early).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(early < late).toBe(true);
    expect(new Set(Array.from({ length: 1_000 }, () => uuidv7(5))).size).toBe(1_000);
  });
});

describe("RefusalError", () => {
  it("is read from the API's JSON", () => {
    const body = { refusal: { code: "REFUSAL_CODE_PASSWORD_WRONG", message_zh: "账号或密码不正确。", message_en: "Wrong.", retry_after_ms: 0, field: "" } };
    const error = RefusalError.fromJson(body);
    expect(error?.code).toBe(RefusalCode.PASSWORD_WRONG);
    expect(error?.words("zh-CN")).toBe("账号或密码不正确。");
    expect(RefusalError.fromJson("<html>")).toBeUndefined();
  });
});
