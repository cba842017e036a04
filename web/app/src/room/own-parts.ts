// The row that every room has by itself: what people say.
import { truncate } from "../kit/text";
import CommentRow from "./CommentRow.vue";
import { roomHost } from "./host";
import { registerRoomParts } from "./parts";
import { t } from "./words";

/** Of a comment that is read out, characters. */
const ANNOUNCED_MOST = 200;

registerRoomParts({
  rows: {
    comment: {
      component: CommentRow,
      takesFocus: true,
      announce: ({ author, kind }) =>
        kind.case === "comment" ? t("room.announced", { name: roomHost().names.nameOf(author), text: truncate(kind.text, ANNOUNCED_MOST) }) : "",
    },
  },
});
