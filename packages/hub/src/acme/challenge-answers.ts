import { HttpError, type Router } from '@atoll/http';

/** What a directory looks for while it sees whether a name leads here (RFC 8555 section 8.3). */
export class ChallengeAnswers {
  private readonly answers = new Map<string, string>();

  /** Answers to a token until what it returns is called. */
  publish(token: string, keyAuthorization: string): () => void {
    this.answers.set(token, keyAuthorization);
    return () => void this.answers.delete(token);
  }

  /** Adds the one route that a directory asks for. */
  addTo(router: Router): Router {
    return router.on('GET', '/.well-known/acme-challenge/:token', (exchange) => {
      const answer = this.answers.get(exchange.parameter ?? '');
      if (answer === undefined)
        throw new HttpError(404, 'ACME_NO_CHALLENGE', 'No challenge of that name is under way.');
      exchange.send(200, 'application/octet-stream', answer, ['Cache-Control', 'no-store']);
    });
  }
}
