// Signing in, and one's own account.
import type { Subject } from "../../shell/subject";
import { t } from "../../shell/words";
import { routes } from "./routes";

export default {
  name: "accounts",
  routes,
  nav: { to: "/me", icon: "person", label: () => t("nav.account") },
} satisfies Subject;
