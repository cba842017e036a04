import "./kit/polyfills";
import { createApp } from "vue";
import { router } from "./kit/router";
import RouterLink from "./kit/RouterLink.vue";
import { registerRoomParts } from "./room/parts";
import App from "./shell/App.vue";
import { installRoomHost } from "./shell/room-host";
import { installRoutes } from "./shell/routes";
import { registerServiceWorker } from "./shell/service-worker";
import { connecting } from "./shell/session";
import { applySettings } from "./shell/settings";
import { subjects } from "./shell/subjects";
import "./kit/styles/tokens.css";
import "./kit/styles/base.css";

/** The socket sets out first: its way to the first comment is longer than the page's. It has this head start, ms. */
const HEAD_START_MS = 100;
const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

applySettings();
for (const { room } of subjects) if (room) registerRoomParts(room);
installRoomHost();
installRoutes();
// The seal of index.html stands until there is a page to put in its place.
void router
  .start()
  .then(() => connecting && Promise.race([connecting, wait(HEAD_START_MS)]))
  .finally(() => createApp(App).component("RouterLink", RouterLink).mount("#app"));
registerServiceWorker();
