import { describe, expect, it } from "vitest";
import { type Page, buildAddress, matchPath, resolve } from "../src/kit/routing";

const component = () => Promise.reject(new Error("not shown here"));
const pages: Page[] = [
  { path: "/", name: "home", component },
  { path: "/c/new", name: "create", component },
  { path: "/c/:id/edit", name: "edit", component },
  { path: "/c/:id", name: "room", component, meta: { whole: true } },
];
const nowhere: Page = { path: "", name: "nowhere", component };
const of = (address: string) => resolve(pages, nowhere, address).route;

describe("addresses", () => {
  it("name a page, its parameters, its query and its place", () => {
    expect(of("/")).toMatchObject({ name: "home", params: {}, fullPath: "/" });
    expect(of("/c/new")).toMatchObject({ name: "create" });
    expect(of("/c/7f/?a=1&to=%2Fc%2F8#c12")).toMatchObject({ name: "room", params: { id: "7f" }, query: { a: "1", to: "/c/8" }, hash: "#c12", meta: { whole: true } });
    expect(of("/c/7f/edit")).toMatchObject({ name: "edit", params: { id: "7f" } });
    for (const address of ["/c", "/c/7f/other", "/x"]) expect(of(address).name).toBe("nowhere");
  });

  it("lead to this site only, whatever they look like", () => {
    for (const address of ["//evil.example/c/1", "https://evil.example/"]) expect(of(address).fullPath.startsWith("/")).toBe(true);
  });

  it("a page's address names it again", () => {
    for (const to of [{ name: "home" }, { name: "edit", params: { id: "a/b 中" } }, { name: "room", params: { id: "1" }, query: { to: "/?x=1" } }]) {
      const found = of(buildAddress(pages, to));
      expect([found.name, found.params, found.query]).toEqual([to.name, to.params ?? {}, "query" in to ? to.query : {}]);
    }
  });

  it("a page that is not, or lacks a parameter, has none", () => {
    expect(() => buildAddress(pages, { name: "other" })).toThrow();
    expect(() => buildAddress(pages, { name: "room" })).toThrow();
  });

  it("that are badly written are taken as they stand", () => {
    expect(matchPath("/c/:id", "/c/%E4%")).toEqual({ id: "%E4%" });
  });
});
