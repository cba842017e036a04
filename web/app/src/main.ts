import { createApp } from "vue";
import App from "./App.vue";
import { router } from "./router";
import { install } from "./state/installed";
import { useSettings } from "./state/settings";
import "./styles/tokens.css";
import "./styles/base.css";
import { i18n } from "./words";

void useSettings().then(() => createApp(App).use(i18n).use(router).mount("#app"));
install();
