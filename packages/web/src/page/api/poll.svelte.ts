import { onDestroy } from 'svelte';
import { RequestError, request } from './request.js';

/** What a path of the hub answers, asked again and again while the page is seen. Made while a component starts. */
export class Poll<T> {
  value = $state.raw<T>();
  error = $state.raw<RequestError>();
  readonly #path: string;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  /** @param everyMs pause between two questions; none: it asks once, and again by {@link ask} */
  constructor(path: string, everyMs?: number) {
    this.#path = path;
    const round = async (): Promise<void> => {
      if (!document.hidden) await this.ask();
      if (!this.#isOver && everyMs !== undefined) this.#timer = setTimeout(round, everyMs);
    };
    void round();
    onDestroy(() => {
      this.#isOver = true;
      clearTimeout(this.#timer);
    });
  }

  /** Asks now. */
  async ask(): Promise<void> {
    try {
      this.value = await request<T>(this.#path);
      this.error = undefined;
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      this.error = error;
    }
  }
}
