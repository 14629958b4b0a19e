import type { JoinFacts } from '@atoll/hub';
import { RequestError, request } from '../api/request.js';

/** What the hub says of itself, asked once for all pages. */
class Hub {
  facts = $state.raw<JoinFacts>();
  error = $state.raw<RequestError>();

  constructor() {
    void this.#ask();
  }

  async #ask(): Promise<void> {
    try {
      this.facts = await request<JoinFacts>('join');
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      this.error = error;
    }
  }
}

export const hub = new Hub();
