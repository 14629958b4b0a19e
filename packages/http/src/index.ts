export { AddressLimits, type AddressLimitsOptions, networkOf } from './address-limits.js';
export type { CertificateFiles } from './certificate-files.js';
export { type BodyLimits, Exchange, type HeaderList } from './exchange.js';
export { HttpError } from './http-error.js';
export {
  HttpServer,
  type HttpServerComponents,
  type HttpServerOptions,
  type ListenAddress,
  type ListeningAt,
} from './http-server.js';
export { type Counter, type Gauge, type Histogram, Metrics } from './metrics.js';
export { type Handler, Router, type RouterOptions } from './router.js';
