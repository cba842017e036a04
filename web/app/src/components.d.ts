import type RouterLink from "./parts/RouterLink.vue";

declare module "vue" {
  interface GlobalComponents {
    RouterLink: typeof RouterLink;
  }
}
