// The one client of this page, and who is signed in.
import { Client, type Connection, type Me, type Outgoing, People, Role, type ServiceFacts, endsSession } from "@yitang/sdk";
import { computed, ref, shallowRef } from "vue";

export const client = new Client({ name: "yitang-web 0.1" });
export const people = new People(client.services);

export const me = shallowRef<Me>();
export const facts = shallowRef<ServiceFacts>();
export const connection = shallowRef<Connection>(client.connection);
/** The session ended under the page. */
export const ended = ref(false);
/** Counts up when names or organisations have come. */
export const peopleVersion = ref(0);
/** Everything in the outbox, newest last. */
export const outgoing = shallowRef<Outgoing[]>([]);
export const unsent = computed(() => outgoing.value.filter((post) => post.state === "waiting" || post.state === "sending").length);

client.connectionChanged.on((changed) => {
  connection.value = changed;
  if (changed.phase === "ended") forget(true);
});
client.outboxChanged.on(() => (outgoing.value = client.outbox.list()));
people.changed.on(() => (peopleVersion.value += 1));

const roles = computed(() => me.value?.person?.roles ?? []);
export const isAdministrator = computed(() => roles.value.some((role) => role === Role.ADMINISTRATOR || role === Role.OPERATOR));
export const isStaff = computed(() => isAdministrator.value || roles.value.includes(Role.STAFF));
export const myself = computed(() => me.value?.person?.id ?? client.session?.person ?? 0);

/** `in`: signed in; `out`: not; `unknown`: the service cannot be reached. */
export type Standing = "in" | "out" | "unknown";
let restoring: Promise<Standing> | undefined;

let knownOut = false;

/** Whether this browser has a session; asked once, where it was told. */
export function restore(): Promise<Standing> {
  if (me.value) return Promise.resolve("in");
  if (knownOut) return Promise.resolve("out");
  restoring ??= client
    .restore()
    .then(async (session): Promise<Standing> => {
      if (!session) {
        knownOut = true;
        return "out";
      }
      await begin();
      return "in";
    })
    .catch((): Standing => "unknown")
    .finally(() => (restoring = undefined));
  return restoring;
}

/** After signing in: who it is, and the line. */
export async function begin(): Promise<void> {
  const found = await client.services.directory.getMe({});
  if (found.person) people.keep([found.person]);
  ended.value = false;
  me.value = found;
  knownOut = false;
  void people.loadOrganisations().catch(() => undefined);
  await client.start();
}

export async function signOut(): Promise<void> {
  await client.signOut().catch(async (error: unknown) => {
    if (!endsSession(error)) throw error;
    await client.stop();
  });
  forget(false);
}

function forget(byServer: boolean): void {
  ended.value = byServer;
  me.value = undefined;
}

export async function loadFacts(): Promise<void> {
  facts.value ??= await client.http.facts().catch(() => undefined);
}

// The device woke up, or the network came back: no need to wait for a timer.
for (const event of ["online", "pageshow", "focus"]) addEventListener(event, () => client.nudge());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") client.nudge();
});
