import type { Page } from "../../kit/routing";

const EditPage = () => import("./EditPage.vue");
export const routes: Page[] = [
  { path: "/", name: "home", component: () => import("./HomePage.vue") },
  { path: "/c/new", name: "create", component: EditPage },
  { path: "/c/:id/edit", name: "edit", component: EditPage },
  { path: "/c/:id/document", name: "document", component: () => import("./DocumentPage.vue") },
  { path: "/c/:id", name: "room", component: () => import("./RoomPage.vue"), meta: { whole: true } },
];
