import type { Page } from "../../kit/routing";

export const routes: Page[] = [{ path: "/directory", name: "directory", component: () => import("./DirectoryPage.vue") }];
