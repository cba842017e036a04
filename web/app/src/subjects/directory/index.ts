// The directory: people and organisations, by those who administer them.
import { isAdministrator } from "../../shell/session";
import type { Subject } from "../../shell/subject";
import { t } from "../../shell/words";
import { routes } from "./routes";

export default {
  name: "directory",
  routes,
  nav: { to: "/directory", icon: "book", label: () => t("nav.directory"), isOffered: () => isAdministrator.value },
} satisfies Subject;
