/** Something that others want to hear of. A listener that throws does not keep the others from hearing. */
export class Signal<T = void> {
  readonly #listeners = new Set<(value: T) => void>();

  /** Listens; call what it returns to stop. */
  on(listener: (value: T) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  emit(value: T): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(value);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
