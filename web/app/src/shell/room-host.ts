// The page as its rooms see it.
import type { Person } from "@yitang/sdk";
import { setRoomHost } from "../room/host";
import { client } from "./client";
import { describeError } from "./errors";
import { nameOf, organisationOf, people, peopleVersion, personOf } from "./people";
import { connection, facts, myself } from "./session";

const TEXT_BYTES = 8 * 1024;

export function installRoomHost(): void {
  setRoomHost({
    client,
    me: myself,
    connection,
    names: {
      personOf,
      nameOf,
      organisationOf,
      organisations() {
        void peopleVersion.value;
        return people.organisations();
      },
      // What is known already is newer.
      remember: (found) => people.remember(found.filter((one) => !people.get(one.id)) as Person[]),
    },
    maxTextBytes: () => facts.value?.limits["text_bytes"] ?? TEXT_BYTES,
    describeError,
  });
}
