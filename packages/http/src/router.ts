import type { Exchange } from './exchange.js';

/** Answers one request. What it throws becomes an error answer. */
export type Handler = (exchange: Exchange) => void | Promise<void>;

export interface RouterOptions {
  /** Fixed parts of a path match in any ASCII case. */
  readonly ignoresCase?: boolean;
  /** A slash at the end of a path means nothing. */
  readonly ignoresTrailingSlash?: boolean;
  /** GET routes answer HEAD, too. True when left out. */
  readonly answersHead?: boolean;
}

/** What a path leads to. */
export interface Route {
  readonly handlers: ReadonlyMap<string, Handler>;
  /** The parts of the path that stand for parameters, as they came: not percent-decoded. */
  readonly parameters: readonly string[];
}

interface Place {
  readonly fixed: Map<string, Place>;
  parameter: Place | undefined;
  handlers: Map<string, Handler> | undefined;
}

/**
 * Paths and what answers them. A part `:name` of a path is a parameter, any one part that is not empty; fixed parts
 * are preferred. Methods are any that Node's parser lets through.
 *
 * ```ts
 * new Router().on('GET', '/name/:name', look).on('SUBSCRIBE', '/key/:hash', subscribe);
 * ```
 */
export class Router {
  private readonly root: Place = { fixed: new Map(), parameter: undefined, handlers: undefined };
  private readonly ignoresCase: boolean;
  private readonly ignoresTrailingSlash: boolean;
  private readonly answersHead: boolean;

  constructor(options: RouterOptions = {}) {
    this.ignoresCase = options.ignoresCase ?? false;
    this.ignoresTrailingSlash = options.ignoresTrailingSlash ?? false;
    this.answersHead = options.answersHead ?? true;
  }

  /** Adds a route; throws when there is one already, since that is a mistake in the program. */
  on(method: string, path: string, handler: Handler): this {
    let place = this.root;
    for (const part of path === '/' ? [''] : path.split('/').slice(1)) {
      if (part.startsWith(':')) {
        place.parameter ??= { fixed: new Map(), parameter: undefined, handlers: undefined };
        place = place.parameter;
      } else {
        const key = this.ignoresCase ? part.toLowerCase() : part;
        const next = place.fixed.get(key) ?? { fixed: new Map(), parameter: undefined, handlers: undefined };
        place.fixed.set(key, next);
        place = next;
      }
    }
    place.handlers ??= new Map();
    if (place.handlers.has(method)) throw new TypeError(`there is a route for ${method} ${path} already`);
    place.handlers.set(method, handler);
    if (method === 'GET' && this.answersHead && !place.handlers.has('HEAD')) place.handlers.set('HEAD', handler);
    return this;
  }

  /** What a path (without query) leads to; undefined when nowhere. */
  find(path: string): Route | undefined {
    const end = this.ignoresTrailingSlash && path.length > 1 && path.endsWith('/') ? path.length - 1 : path.length;
    const parameters: string[] = [];
    const place = this.walk(this.root, path, 1, end, parameters);
    return place?.handlers === undefined ? undefined : { handlers: place.handlers, parameters };
  }

  private walk(place: Place, path: string, from: number, end: number, parameters: string[]): Place | undefined {
    if (from > end) return place.handlers === undefined ? undefined : place;
    const slash = path.indexOf('/', from);
    const until = slash < 0 || slash > end ? end : slash;
    const part = path.slice(from, until);
    const fixed = place.fixed.get(this.ignoresCase ? part.toLowerCase() : part);
    if (fixed !== undefined) {
      const found = this.walk(fixed, path, until + 1, end, parameters);
      if (found !== undefined) return found;
    }
    if (place.parameter === undefined || part === '') return undefined;
    parameters.push(part);
    const found = this.walk(place.parameter, path, until + 1, end, parameters);
    if (found === undefined) parameters.pop();
    return found;
  }
}
