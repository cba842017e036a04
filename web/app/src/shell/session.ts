// Who is signed in, and the line.
import { type Connection, type Me, type Outgoing, type Person, PersonSchema, MeSchema, Role, type ServiceFacts, type SessionInfo, endsSession } from "@yitang/sdk";
import { computed, ref, shallowRef } from "vue";
import { clearDeviceStore } from "../kit/device-store";
import { client } from "./client";
import { people } from "./people";

export const me = shallowRef<Me>();
export const facts = shallowRef<ServiceFacts>();
export const connection = shallowRef<Connection>(client.connection);
/** The session ended under the page. */
export const ended = ref(false);
/** Everything in the outbox, newest last. */
export const outgoing = shallowRef<Outgoing[]>([]);
export const unsent = computed(() => outgoing.value.filter((post) => post.state === "waiting" || post.state === "sending").length);

client.connectionChanged.on((changed) => {
  connection.value = changed;
  if (changed.phase === "ended") clearSession(true);
  if (changed.phase === "online" && remembered) void startSession().catch(() => undefined);
});
client.outboxChanged.on(() => (outgoing.value = client.outbox.list()));

const roles = computed(() => me.value?.person?.roles ?? []);
export const isAdministrator = computed(() => roles.value.some((role) => role === Role.ADMINISTRATOR || role === Role.OPERATOR));
export const isStaff = computed(() => isAdministrator.value || roles.value.includes(Role.STAFF));
export const myself = computed(() => me.value?.person?.id ?? client.session?.person ?? 0);

/** `in`: signed in; `out`: not; `unknown`: the service cannot be reached. */
export type SignedIn = "in" | "out" | "unknown";
let restoring: Promise<SignedIn> | undefined;
let knownOut = false;
/** Done when the ticket for the line has been asked for; undefined: nobody was remembered, so no line has set out. */
export let connecting: Promise<void> | undefined;
/** `me` is what was kept of the last visit: the service has not been reached yet. */
let remembered = false;

/** Whether this browser has a session. Who was here last goes on at once, without a question before the first comment: the
 * line's own sign-in tells whether the session still stands, and whose it is. Without a network that is as well: what was
 * read opens, what is written is kept, and both are made good when the line comes. */
export function restore(): Promise<SignedIn> {
  if (me.value) return Promise.resolve("in");
  if (knownOut) return Promise.resolve("out");
  const kept = loadRemembered();
  if (kept) {
    client.session = kept.session;
    me.value = kept.me;
    remembered = true;
    connecting = new Promise((resolve) => {
      const stop = client.connectionChanged.on(({ phase, tries }) => {
        if (phase !== "online" && tries === 0) return;
        stop();
        resolve();
      });
    });
    void client.start().catch(() => undefined);
    void people.loadOrganisations().catch(() => undefined);
    return Promise.resolve("in");
  }
  restoring ??= client
    .restore()
    .then(async (session): Promise<SignedIn> => {
      if (!session) {
        knownOut = true;
        return "out";
      }
      await startSession();
      return "in";
    })
    .catch((): SignedIn => "unknown")
    .finally(() => (restoring = undefined));
  return restoring;
}

/** After signing in: who it is, and the line. */
export async function startSession(): Promise<void> {
  const found = await client.services.directory.getMe({});
  if (found.person) people.remember([found.person]);
  ended.value = false;
  me.value = found;
  knownOut = false;
  remembered = false;
  remember(found);
  void people.loadOrganisations().catch(() => undefined);
  await client.start();
}

export async function signOut(): Promise<void> {
  await client.signOut().catch(async (error: unknown) => {
    if (!endsSession(error)) throw error;
    await client.stop();
  });
  await clearDeviceStore();
  clearSession(false);
}

function clearSession(byServer: boolean): void {
  ended.value = byServer;
  me.value = undefined;
  remembered = false;
  try {
    localStorage.removeItem(KEY);
  } catch {
    // There was none.
  }
}

const KEY = "yitang-me";
type KeptPerson = Pick<Person, "id" | "name" | "organisation" | "roles" | "login">;

function remember(found: Me): void {
  const { person } = found;
  if (!person || !client.session) return;
  const { id, name, organisation, roles: has, login } = person;
  const { token: _, ...session } = client.session;
  const kept: { session: SessionInfo; person: KeptPerson } = { session, person: { id, name, organisation, roles: has, login } };
  try {
    localStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // A private window: the next visit needs the network.
  }
}

function loadRemembered(): { session: SessionInfo; me: Me } | undefined {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "null") as { session: SessionInfo; person: KeptPerson } | null;
    if (!kept || !(kept.person.id > 0) || kept.session.expiresMs < Date.now()) return undefined;
    const person: Person = { disabled: false, ...kept.person, $typeName: PersonSchema.typeName };
    return { session: kept.session, me: { $typeName: MeSchema.typeName, person } as Me };
  } catch {
    return undefined;
  }
}

export async function loadFacts(): Promise<void> {
  facts.value ??= await client.http.facts().catch(() => undefined);
}
