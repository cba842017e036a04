// Names for the people whose numbers stand in events: asked for in groups, remembered.
import type { Organisation, Person } from "./gen/directory_pb.js";
import type { Services } from "./services.js";
import { Signal } from "./signal.js";

const GROUP = 500;
const GATHER_MS = 20;
const AGAIN_MS = 2_000;

export class People {
  readonly changed = new Signal();
  readonly #people = new Map<number, Person>();
  readonly #organisations = new Map<number, Organisation>();
  #wanted = new Set<number>();
  readonly #asked = new Set<number>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #tree: Promise<void> | undefined;

  constructor(private readonly services: Pick<Services, "directory">) {}

  /** The person if known; else undefined, and asked for. */
  get(id: number): Person | undefined {
    const person = this.#people.get(id);
    if (!person && id > 0 && !this.#asked.has(id)) {
      this.#asked.add(id);
      this.#wanted.add(id);
      this.#timer ??= setTimeout(() => void this.#fetch(), GATHER_MS);
    }
    return person;
  }

  remember(people: Person[]): void {
    for (const person of people) this.#people.set(person.id, person);
    this.changed.emit();
  }

  organisation(id: number): Organisation | undefined {
    return this.#organisations.get(id);
  }

  /** The whole tree, parents before their children. */
  organisations(): Organisation[] {
    return [...this.#organisations.values()];
  }

  /** Loads the tree, once; again with `anew`. */
  loadOrganisations(anew = false): Promise<void> {
    if (anew) this.#tree = undefined;
    this.#tree ??= this.services.directory
      .listOrganisations({})
      .then(({ organisations }) => {
        this.#organisations.clear();
        for (const organisation of organisations) this.#organisations.set(organisation.id, organisation);
        this.changed.emit();
      })
      .catch((error: unknown) => {
        this.#tree = undefined;
        throw error;
      });
    return this.#tree;
  }

  async #fetch(): Promise<void> {
    this.#timer = undefined;
    const ids = [...this.#wanted].slice(0, GROUP);
    for (const id of ids) this.#wanted.delete(id);
    try {
      const { people } = await this.services.directory.getPeople({ ids });
      this.remember(people);
    } catch {
      for (const id of ids) this.#asked.delete(id);
      setTimeout(() => this.changed.emit(), AGAIN_MS);
    }
    if (this.#wanted.size > 0) this.#timer ??= setTimeout(() => void this.#fetch(), GATHER_MS);
  }
}
