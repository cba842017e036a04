import "./state/older";
import { createApp } from "vue";
import App from "./App.vue";
import RouterLink from "./parts/RouterLink.vue";
import { router } from "./router";
import { install } from "./state/installed";
import { lineStarts } from "./state/session";
import { useSettings } from "./state/settings";
import "./styles/tokens.css";
import "./styles/base.css";
import { i18n } from "./words";

/** The line sets out first: its way to the first comment is longer than the page's. */
const HEAD_START_MS = 80;
async function lineIsOff(): Promise<void> {
  await lineStarts;
  // The browser grants the tab its lock, and the ticket is asked for.
  await wait(0);
}
const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

// The seal of index.html stands until there is a page to put in its place.
void Promise.all([useSettings(), router.start()])
  .then(() => Promise.race([lineIsOff(), wait(HEAD_START_MS)]))
  .finally(() => createApp(App).use(i18n).component("RouterLink", RouterLink).mount("#app"));
install();
