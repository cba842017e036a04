import type { Page } from "../../kit/routing";

export const routes: Page[] = [
  { path: "/hall/:id", name: "hall", component: () => import("./HallPage.vue"), meta: { open: true, whole: true, bare: true } },
];
