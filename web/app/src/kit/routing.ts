// Addresses and pages: which page an address is, and what an address of a page is. Pure.
import type { Component } from "vue";

export interface Meta {
  /** For those who are not signed in, too. */
  open?: boolean;
  /** Has the whole window. */
  whole?: boolean;
  /** Without controls. */
  bare?: boolean;
}
export interface Page {
  /** Segments; those that begin with `:` are parameters. */
  path: string;
  name: string;
  component: () => Promise<{ default: Component }>;
  meta?: Meta;
}
export interface Route {
  path: string;
  fullPath: string;
  name: string;
  params: Record<string, string>;
  query: Record<string, string>;
  hash: string;
  meta: Meta;
}
/** An address, or a page by its name. */
export type To = string | { name: string; params?: Record<string, string>; query?: Record<string, string> };

function segments(path: string): string[] {
  return path.split("/").filter((part) => part !== "");
}
/** As a person would write it; as it stands where it is badly written. */
export function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Parameters of `path` as `pattern` has them; undefined: it is not of this pattern. */
export function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = segments(pattern);
  const parts = segments(path);
  if (wanted.length !== parts.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, want] of wanted.entries()) {
    const part = parts[index] ?? "";
    if (want.startsWith(":")) params[want.slice(1)] = decodePart(part);
    else if (want !== part) return undefined;
  }
  return params;
}

/** The page of an address of this site, the first that fits; `nowhere` where none does. */
export function resolve(pages: Page[], nowhere: Page, address: string): { route: Route; page: Page } {
  const url = new URL(address, "http://site.invalid");
  const route = { path: url.pathname, fullPath: url.pathname + url.search + url.hash, query: Object.fromEntries(url.searchParams), hash: url.hash };
  for (const page of pages) {
    const params = matchPath(page.path, url.pathname);
    if (params) return { page, route: { ...route, name: page.name, params, meta: page.meta ?? {} } };
  }
  return { page: nowhere, route: { ...route, name: nowhere.name, params: {}, meta: nowhere.meta ?? {} } };
}

/** The address of a page. Throws where there is none of that name, or a parameter is missing. */
export function buildAddress(pages: Page[], to: To): string {
  if (typeof to === "string") return to;
  const page = pages.find((one) => one.name === to.name);
  if (!page) throw new Error(`no page is called ${to.name}`);
  const parts = segments(page.path).map((part) => {
    if (!part.startsWith(":")) return part;
    const value = to.params?.[part.slice(1)];
    if (value === undefined) throw new Error(`${to.name} needs ${part}`);
    return encodeURIComponent(value);
  });
  const query = new URLSearchParams(to.query).toString();
  return `/${parts.join("/")}${query === "" ? "" : `?${query}`}`;
}
