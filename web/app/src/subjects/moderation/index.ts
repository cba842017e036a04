// What moderators do with a comment and its author, in every room; and what was done there.
import { Why } from "@yitang/sdk";
import { defineAsyncComponent } from "vue";
import type { CommentContext } from "../../room/parts";
import type { Subject } from "../../shell/subject";
import { t } from "./words";

const goneOf = ({ entry }: CommentContext) => (entry.kind.case === "comment" ? entry.kind.gone : undefined);
const isOffered = (comment: CommentContext) => comment.mayModerate && !comment.isMine && !goneOf(comment);

export default {
  name: "moderation",
  room: {
    commentActions: [
      {
        label: () => t("moderation.unhide"),
        isOffered: (comment) => comment.mayModerate && goneOf(comment)?.why === Why.HIDDEN,
        form: defineAsyncComponent(() => import("./UnhideForm.vue")),
      },
      { label: () => t("moderation.hide"), isOffered, isDanger: true, form: defineAsyncComponent(() => import("./HideForm.vue")) },
      { label: () => t("moderation.mute"), isOffered, isDanger: true, run: (comment) => import("./mute").then(({ mute }) => mute(comment)) },
    ],
    roomActions: [
      { icon: "page", label: () => t("acts.title"), isOffered: ({ mayModerate }) => mayModerate, component: defineAsyncComponent(() => import("./ActsList.vue")) },
    ],
  },
} satisfies Subject;
