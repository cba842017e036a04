import { type RouteLocationNormalized, createRouter, createWebHistory } from "vue-router";
import Home from "./pages/Home.vue";
import SignIn from "./pages/SignIn.vue";
import { restore } from "./state/session";

export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: "/", name: "home", component: Home },
    { path: "/sign-in", name: "sign-in", component: SignIn, meta: { open: true } },
    { path: "/link", name: "link", component: () => import("./pages/Link.vue"), meta: { open: true } },
    { path: "/c/new", name: "create", component: () => import("./pages/Consultation.vue") },
    { path: "/c/:id/edit", name: "edit", component: () => import("./pages/Consultation.vue"), props: true },
    { path: "/c/:id", name: "room", component: () => import("./pages/Room.vue"), props: true, meta: { whole: true } },
    { path: "/me", name: "account", component: () => import("./pages/Account.vue") },
    { path: "/directory", name: "directory", component: () => import("./pages/Directory.vue") },
    { path: "/:path(.*)*", name: "nowhere", component: () => import("./pages/Nowhere.vue"), meta: { open: true } },
  ],
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
});

// A link straight into a consultation survives signing in.
router.beforeEach(async (to: RouteLocationNormalized) => {
  if (to.meta["open"]) return true;
  const standing = await restore();
  if (standing !== "out") return true;
  return { name: "sign-in", query: to.fullPath === "/" ? {} : { to: to.fullPath } };
});
