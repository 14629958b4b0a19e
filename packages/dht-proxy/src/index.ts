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
