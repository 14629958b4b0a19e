export type { ClientTls } from './client/http-exchange.js';
export { ProxyClient, type ProxyClientOptions, type PushSettings } from './client/proxy-client.js';
export { parseProxies } from './client/proxy-url.js';
export { SwitchableBackend } from './client/switchable-backend.js';
export {
  type DirectPushComponents,
  type DirectPushOverrides,
  DirectPushService,
} from './push/direct-push-service.js';
export { type PushOptions, pushSettings } from './push/push-options.js';
export type {
  PushCount,
  PushEvents,
  PushPayload,
  PushPlatform,
  PushPriority,
  PushService,
  PushStats,
  PushSubscription,
  PushTarget,
  SubscribeRequest,
  SubscribeResult,
  SubscriptionName,
} from './push/push-sender.js';
export type {
  ApnsSettings,
  FcmSettings,
  GatewaySettings,
  PushServiceSettings,
  UnifiedPushSettings,
} from './push/push-settings.js';
export { decryptWebPush } from './push/web-push-encryption.js';
export { DhtProxy, type DhtProxyComponents, type DhtProxyOptions } from './server/dht-proxy.js';
export { DEFAULT_PROXY_LIMITS, type ProxyLimits } from './server/limits.js';
export { openProxyServer, type ProxyServerOptions } from './server/proxy-server.js';
export type { NodeInfo, ProxyStats } from './wire/node-info.js';
export { decodeValueJson, encodeValueJson } from './wire/value-json.js';
