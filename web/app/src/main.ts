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

void useSettings().then(() => {
  createApp(App).use(i18n).component("RouterLink", RouterLink).mount("#app");
  void router.start();
});
install();
