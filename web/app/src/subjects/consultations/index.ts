// Live consultations: the list, the room, its preparation, its document.
import { defineAsyncComponent } from "vue";
import type { Subject } from "../../shell/subject";
import { t } from "../../shell/words";
import { routes } from "./routes";
import { createStateReader } from "./state";
import StateRow from "./StateRow.vue";

export default {
  name: "consultations",
  routes,
  nav: { to: "/", icon: "halls", label: () => t("nav.home") },
  room: { rows: { consultationChanged: { component: StateRow, createReader: createStateReader } } },
  banner: defineAsyncComponent(() => import("./CallBanner.vue")),
} satisfies Subject;
