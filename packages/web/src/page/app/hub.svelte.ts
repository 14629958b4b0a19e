import type { JoinFacts } from '@atoll/hub';
import { RequestError, request } from '../api/request.js';

/** What the hub says of itself, asked once for all pages. */
class Hub {
  facts = $state.raw<JoinFacts>();
  error = $state.raw<RequestError>();

  constructor() {
    void this.#ask();
  }

  /**
   * Its facts, asked for again when they are not there.
   *
   * @throws {RequestError} when it refuses or does not answer
   */
  async ready(): Promise<JoinFacts> {
    this.facts ??= await request<JoinFacts>('join');
    return this.facts;
  }

  async #ask(): Promise<void> {
    try {
      await this.ready();
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      this.error = error;
    }
  }
}

export const hub = new Hub();
