// What a subject gives to the page: one object a subject, listed in subjects.ts. All that is heavy in it is loaded when it is
// first needed.
import type { Component } from "vue";
import type { IconName } from "../kit/Icon.vue";
import type { Page } from "../kit/routing";
import type { RoomParts } from "../room/parts";

export interface Subject {
  name: string;
  /** Its pages. The first that fits an address wins, in the order of the list. */
  routes?: Page[];
  /** Its place in the navigation. */
  nav?: { to: string; icon: IconName; label: () => string; isOffered?: () => boolean };
  /** What it adds to every room. */
  room?: RoomParts;
  /** Stands above the pages of those who are signed in, and shows nothing while it has nothing to say. */
  banner?: Component;
}
