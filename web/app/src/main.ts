import "./state/older";
import { createApp } from "vue";
import App from "./App.vue";
import RouterLink from "./parts/RouterLink.vue";
import { router } from "./router";
import { install } from "./state/installed";
import { useSettings } from "./state/settings";
import "./styles/tokens.css";
import "./styles/base.css";
import { i18n } from "./words";

// The seal of index.html stands until there is a page to put in its place.
void Promise.all([useSettings(), router.start()]).finally(() => createApp(App).use(i18n).component("RouterLink", RouterLink).mount("#app"));
install();
