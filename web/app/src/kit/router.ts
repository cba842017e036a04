// From one page to another: asked for by a link, by the browser's own buttons, or by the page.
import { type Component, nextTick, shallowReactive, shallowRef } from "vue";
import { buildAddress, type Page, resolve, type Route, type To } from "./routing";

let pages: Page[] = [];
let nowhere: Page | undefined;
/** Whether one may not go there yet: where to go first; undefined: one may. */
let guard: (to: Route) => Promise<To | undefined> = () => Promise.resolve(undefined);

/** Where one is. */
export const route = shallowReactive<Route>({ path: "", fullPath: "", name: "", params: {}, query: {}, hash: "", meta: {} });
/** The page that is shown; undefined: the first is still on its way. */
export const shownPage = shallowRef<Component>();

const components = new Map<Page, Component>();
const arrived = new Set<(isFirst: boolean) => void>();
let going = 0;

export const hrefOf = (to: To) => buildAddress(pages, to);
/** Calls this when another page has come. Nobody stops listening: it is for what lives as long as the page. */
export function onPageChange(act: (isFirst: boolean) => void): void {
  arrived.add(act);
}

type Way = "push" | "replace" | "stay";

async function go(to: To, way: Way, top = 0): Promise<void> {
  const mine = (going += 1);
  if (!nowhere) throw new Error("the router has no pages: call setPages first");
  const { route: next, page } = resolve(pages, nowhere, hrefOf(to));
  // While it is asked who comes, the page comes.
  const loading = load(page, next);
  const first = await guard(next);
  if (first !== undefined) {
    if (mine !== going) return;
    return go(first, way === "push" ? "push" : "replace");
  }
  const component = await loading;
  if (!component || mine !== going) return;
  if (way === "push") history.replaceState({ ...(history.state as object | null), top: scrollY }, "");
  if (way === "push") history.pushState({}, "", next.fullPath);
  else if (way === "replace") history.replaceState(history.state, "", next.fullPath);
  const isFirst = shownPage.value === undefined;
  const isOther = isFirst || route.path !== next.path;
  Object.assign(route, next);
  shownPage.value = component;
  await nextTick();
  if (isOther && next.hash === "") scrollTo(0, top);
  if (isOther) for (const act of arrived) act(isFirst);
}

async function load(page: Page, next: Route): Promise<Component | undefined> {
  const held = components.get(page);
  if (held) return held;
  try {
    const component = (await page.component()).default;
    components.set(page, component);
    return component;
  } catch (error) {
    reloadOnce(next.fullPath, error);
    return undefined;
  }
}

// A new version has taken the place of the one this page is of, and a part of it that was not loaded yet is gone:
// the page is loaded anew where one wanted to go, once.
const KEY = "yitang-reloaded-ms";
const ONCE_MS = 20_000;
function reloadOnce(address: string, error: unknown): void {
  try {
    if (Date.now() - Number(sessionStorage.getItem(KEY) ?? 0) < ONCE_MS) throw error;
    sessionStorage.setItem(KEY, String(Date.now()));
  } catch {
    console.error(error);
    return;
  }
  location.assign(address);
}

/** The pages there are, the one for addresses of none, and who may go where. Before `start`. */
export function setPages(all: Page[], none: Page, mayGo: typeof guard): void {
  pages = all;
  nowhere = none;
  guard = mayGo;
}

export const router = {
  push: (to: To) => go(to, "push"),
  replace: (to: To) => go(to, "replace"),
  /** Shows the page of the address bar, and follows the browser's buttons from now on. */
  start(): Promise<void> {
    history.scrollRestoration = "manual";
    const here = () => location.pathname + location.search + location.hash;
    addEventListener("popstate", (event) => void go(here(), "stay", Number((event.state as { top?: number } | null)?.top ?? 0)));
    return go(here(), "stay");
  },
};
