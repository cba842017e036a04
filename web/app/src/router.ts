import { type RouteLocationNormalized, createRouter, createWebHistory } from "vue-router";
import { restore } from "./state/session";

const Document = () => import("./pages/Document.vue");
const Consultation = () => import("./pages/Consultation.vue");

export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: "/", name: "home", component: () => import("./pages/Home.vue") },
    { path: "/sign-in", name: "sign-in", component: () => import("./pages/SignIn.vue"), meta: { open: true } },
    { path: "/link", name: "link", component: () => import("./pages/Link.vue"), meta: { open: true } },
    { path: "/c/new", name: "create", component: Consultation },
    { path: "/c/:id/edit", name: "edit", component: Consultation, props: true },
    { path: "/c/:id/document", name: "document", component: Document, props: true },
    { path: "/c/:id", name: "room", component: () => import("./pages/Room.vue"), props: true, meta: { whole: true } },
    { path: "/hall/:id", name: "hall", component: () => import("./pages/Hall.vue"), props: true, meta: { open: true, whole: true, bare: true } },
    { path: "/me", name: "account", component: () => import("./pages/Account.vue") },
    { path: "/directory", name: "directory", component: () => import("./pages/Directory.vue") },
    { path: "/:path(.*)*", name: "nowhere", component: () => import("./pages/Nowhere.vue"), meta: { open: true } },
  ],
  scrollBehavior: (to, _from, saved) => (to.hash ? false : (saved ?? { top: 0 })),
});

// A link straight into a consultation survives signing in.
router.beforeEach(async (to: RouteLocationNormalized) => {
  if (to.meta["open"]) return true;
  const standing = await restore();
  if (standing !== "out") return true;
  return { name: "sign-in", query: to.fullPath === "/" ? {} : { to: to.fullPath } };
});

// A new version has taken the place of the one this page is of, and a part of it that was not loaded yet is gone:
// the page is loaded anew where one wanted to go, once.
const KEY = "yitang-reloaded-ms";
const ONCE_MS = 20_000;
router.onError((error: unknown, to) => {
  if (!/import|fetch|module|load/i.test(String(error))) return;
  try {
    if (Date.now() - Number(sessionStorage.getItem(KEY) ?? 0) < ONCE_MS) return;
    sessionStorage.setItem(KEY, String(Date.now()));
  } catch {
    return;
  }
  location.assign(to.fullPath);
});
