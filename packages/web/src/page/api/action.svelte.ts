import { RequestError } from './request.js';

/** Something that a person asked for: whether it runs, and why the hub refused. */
export class Action {
  isRunning = $state(false);
  isDone = $state(false);
  error = $state.raw<RequestError>();

  /** Runs it, unless it runs already. */
  async run(doIt: () => Promise<void>): Promise<void> {
    if (this.isRunning) return;
    this.isRunning = true;
    [this.isDone, this.error] = [false, undefined];
    try {
      await doIt();
      this.isDone = true;
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      this.error = error;
    } finally {
      this.isRunning = false;
    }
  }
}
