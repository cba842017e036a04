import { describe, expect, it } from "vitest";
import { findScript, isNight } from "../src/subjects/displays/keep-alive";

describe("a screen that nobody attends", () => {
  it("knows another version by the name of its script", () => {
    expect(findScript('<script type="module" crossorigin src="/assets/index-abc.js"></script>')).toBe("/assets/index-abc.js");
    expect(findScript("<h1>502</h1>")).toBe("");
  });
  it("starts fresh in the night, once", () => {
    const night = new Date(2026, 4, 1, 4, 30).getTime();
    expect(isNight(night, night - 86_400_000)).toBe(true);
    expect(isNight(night, night - 60_000)).toBe(false);
    expect(isNight(new Date(2026, 4, 1, 12, 0).getTime(), 0)).toBe(false);
  });
});
