// Screens in a hall, and the links that open them.
import { defineAsyncComponent } from "vue";
import type { Subject } from "../../shell/subject";
import { routes } from "./routes";

export default {
  name: "displays",
  routes,
  room: { management: [defineAsyncComponent(() => import("./DisplayLinks.vue"))] },
} satisfies Subject;
