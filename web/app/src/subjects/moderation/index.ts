// What moderators do with a comment and its author, in every room.
import { defineAsyncComponent } from "vue";
import type { CommentContext } from "../../room/parts";
import type { Subject } from "../../shell/subject";
import { t } from "./words";

const isOffered = ({ mayModerate, isMine }: CommentContext) => mayModerate && !isMine;

export default {
  name: "moderation",
  room: {
    commentActions: [
      { label: () => t("moderation.hide"), isOffered, isDanger: true, form: defineAsyncComponent(() => import("./HideForm.vue")) },
      { label: () => t("moderation.mute"), isOffered, isDanger: true, run: (comment) => import("./mute").then(({ mute }) => mute(comment)) },
    ],
  },
} satisfies Subject;
