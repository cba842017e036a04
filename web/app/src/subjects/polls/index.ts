// Polls of one question, in every room.
import { defineAsyncComponent } from "vue";
import type { RowKind } from "../../room/parts";
import { nameOf } from "../../shell/people";
import type { Subject } from "../../shell/subject";
import { createVoteReader } from "./choices";
import { askToEnd } from "./ending";
import EndPoll from "./EndPoll.vue";
import { OPTIONS_MOST, isClosed } from "./poll";
import PollRow from "./PollRow.vue";
import { t } from "./words";

/** What a press on an option does: `vote0`, `vote1` and so on. */
const votes: RowKind["acts"] = Object.fromEntries(
  Array.from({ length: OPTIONS_MOST }, (_, option) => [
    `vote${option}`,
    ({ seq, marks }, { mayPost, post }) => {
      if (mayPost && !isClosed(marks)) void post({ case: "vote", target: seq, option });
    },
  ]),
);

export default {
  name: "polls",
  room: {
    rows: {
      poll: {
        component: PollRow,
        takesFocus: true,
        announce: ({ author, kind }) => (kind.case === "poll" ? t("poll.announced", { name: nameOf(author), question: kind.question }) : ""),
        acts: { ...votes, end: askToEnd },
      },
      vote: { component: PollRow, createReader: createVoteReader },
    },
    roomActions: [
      {
        icon: "tick",
        label: () => t("poll.create"),
        isOffered: ({ mayPost, mayModerate, hasMembers }) => mayPost && (mayModerate || hasMembers),
        component: defineAsyncComponent(() => import("./CreatePoll.vue")),
      },
    ],
  },
  banner: EndPoll,
} satisfies Subject;
