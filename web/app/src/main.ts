import "./state/older";
import { createApp } from "vue";
import App from "./App.vue";
import RouterLink from "./parts/RouterLink.vue";
import { router } from "./router";
import { install } from "./state/installed";
import { settingOut } from "./state/session";
import { useSettings } from "./state/settings";
import "./styles/tokens.css";
import "./styles/base.css";
import { i18n } from "./words";

/** The line sets out first: its way to the first comment is longer than the page's. So long it may take, no longer. */
const HEAD_START_MS = 100;
const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

// The seal of index.html stands until there is a page to put in its place.
void Promise.all([useSettings(), router.start()])
  .then(() => settingOut && Promise.race([settingOut, wait(HEAD_START_MS)]))
  .finally(() => createApp(App).use(i18n).component("RouterLink", RouterLink).mount("#app"));
install();
