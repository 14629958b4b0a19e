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
