export { createDtlsContext, type DtlsCertificate, type DtlsContext, type DtlsContextOptions } from './core/context.js';
export {
  DtlsEndpoint,
  type DtlsEndpointComponents,
  type DtlsEndpointHandler,
  type DtlsEndpointOptions,
} from './core/dtls-endpoint.js';
export {
  DtlsServer,
  type DtlsServerComponents,
  type DtlsServerHandler,
  type DtlsServerOptions,
  type DtlsServerStats,
} from './core/server.js';
export type { DtlsEnd, DtlsSession } from './core/session.js';
export {
  type DtlsListener,
  type DtlsListenerHandler,
  type DtlsListenerOptions,
  openDtlsListener,
} from './listener.js';
export { type DtlsFacts, nativeDtls } from './native.js';
