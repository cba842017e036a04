import type RouterLink from "./kit/RouterLink.vue";

declare module "vue" {
  interface GlobalComponents {
    RouterLink: typeof RouterLink;
  }
}
