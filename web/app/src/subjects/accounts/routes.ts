import type { Page } from "../../kit/routing";

export const routes: Page[] = [
  { path: "/sign-in", name: "sign-in", component: () => import("./SignInPage.vue"), meta: { open: true } },
  { path: "/link", name: "link", component: () => import("./LinkPage.vue"), meta: { open: true } },
  { path: "/me", name: "account", component: () => import("./AccountPage.vue") },
];
