import type { GatewayForm } from './gateway.js';
import type { SubscriptionLimits } from './subscription-store.js';

/**
 * What an operator says about push. Without any of it phones with UnifiedPush are served whose distributor is on the
 * Internet; no push service of a vendor is ever spoken to before its credentials are given.
 */
export interface PushServiceSettings {
  /** File of the subscriptions; made with mode 0600. */
  readonly databasePath: string;
  /** File of the key towards Web Push services (PKCS #8, PEM); made with mode 0600 at the first start. */
  readonly vapidKeyPath: string;
  /** How push services reach the operator, `mailto:` or `https:`; empty: they do not. */
  readonly contact: string;
  readonly unifiedPush: UnifiedPushSettings;
  readonly fcm?: FcmSettings | undefined;
  readonly apns?: ApnsSettings | undefined;
  /** For phones of vendors whose credentials are not given above. */
  readonly gateway?: GatewaySettings | undefined;
  readonly limits?: Partial<SubscriptionLimits> | undefined;
}

export interface UnifiedPushSettings {
  readonly isEnabled: boolean;
  /**
   * Distributors on the operator's own network: `ntfy.lan:8080`, `192.168.1.7`, `192.168.1.0/24:8080`, `[fd00::/64]`;
   * without a port 80 and 443. They may have private addresses and go without TLS.
   */
  readonly allow: readonly string[];
  /** Whether distributors of the Internet may go without TLS. */
  readonly isHttpAllowed: boolean;
  /** PEM file of further authorities that distributors may have their certificate from. */
  readonly authorityPath?: string | undefined;
}

export interface FcmSettings {
  /** Service account file (JSON) of the Firebase project that the app was built with. */
  readonly serviceAccountPath: string;
}

export interface ApnsSettings {
  /** Key file (`AuthKey_….p8`) of the team that the app was built by. */
  readonly keyPath: string;
  readonly keyId: string;
  readonly teamId: string;
  /** Topic of clients that bring none. */
  readonly bundleId: string;
  readonly isSandbox: boolean;
}

export interface GatewaySettings {
  /** `host:port`, a port of this machine, or a URL (`--pushserver`). */
  readonly server: string;
  /** Topic of iOS clients that bring none (`--bundleid`); empty: none. */
  readonly bundleId: string;
  /** Form of the requests: `current` unless the gateway is of the time of OpenDHT 2.4. */
  readonly form: GatewayForm;
}
