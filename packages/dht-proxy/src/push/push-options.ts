import { basename } from 'node:path';
import { UsageError } from '@atoll/base';
import type { ApnsSettings, PushServiceSettings } from './push-settings.js';

/** What a person says about push on a command line or in a file: flat, each with its flag. All may be left out. */
export interface PushOptions {
  /** `--unified-push true|false`: whether phones with UnifiedPush are served (yes when left out). */
  readonly unifiedPush?: boolean | undefined;
  /** `--push-allow LIST`: distributors on the local network, see {@link PushServiceSettings}. */
  readonly pushAllow?: readonly string[] | undefined;
  /** `--push-http true|false`: distributors of the Internet may go without TLS (no when left out). */
  readonly pushHttp?: boolean | undefined;
  /** `--push-authority FILE`: further authorities (PEM) for certificates of distributors. */
  readonly pushAuthority?: string | undefined;
  /** `--push-contact ADDRESS`: how push services reach the operator. */
  readonly pushContact?: string | undefined;
  /** `--fcm-account FILE`: service account of the Firebase project. */
  readonly fcmAccount?: string | undefined;
  /** `--apns-key FILE`: key file of Apple's developer portal. */
  readonly apnsKey?: string | undefined;
  /** `--apns-key-id ID`: left out when the file is still called `AuthKey_ID.p8`. */
  readonly apnsKeyId?: string | undefined;
  /** `--apns-team ID`. */
  readonly apnsTeam?: string | undefined;
  /** `--apns-sandbox true|false`: Apple's service for apps under development. */
  readonly apnsSandbox?: boolean | undefined;
  /** `--pushserver HOST:PORT`: gateway with the interface of gorush. */
  readonly pushServer?: string | undefined;
  /** `--push-server-form current|2.4`. */
  readonly pushServerForm?: string | undefined;
  /** `--bundleid ID`: topic of iPhones that name none. */
  readonly bundleId?: string | undefined;
}

/** Settings from options, with the files that Atoll makes itself. Throws a usage error for what does not go together. */
export function pushSettings(
  options: PushOptions,
  files: Pick<PushServiceSettings, 'databasePath' | 'vapidKeyPath'>,
): PushServiceSettings {
  const {
    pushContact: contact = '',
    pushServer,
    pushServerForm: form = 'current',
    bundleId = '',
    fcmAccount,
  } = options;
  if (contact !== '' && !/^(mailto:.+@.+|https:\/\/.+)$/.test(contact)) {
    throw new UsageError('push-contact takes mailto:you@example.org or an https address.');
  }
  if (form !== 'current' && form !== '2.4') throw new UsageError('push-server-form takes current or 2.4.');
  return {
    ...files,
    contact,
    unifiedPush: {
      isEnabled: options.unifiedPush ?? true,
      allow: options.pushAllow ?? [],
      isHttpAllowed: options.pushHttp ?? false,
      authorityPath: options.pushAuthority,
    },
    fcm: fcmAccount === undefined ? undefined : { serviceAccountPath: fcmAccount },
    apns: apnsSettings(options, bundleId),
    gateway: pushServer === undefined ? undefined : { server: pushServer, bundleId, form },
  };
}

function apnsSettings(options: PushOptions, bundleId: string): ApnsSettings | undefined {
  const { apnsKey: keyPath, apnsTeam: teamId, apnsSandbox: isSandbox = false } = options;
  if (keyPath === undefined) {
    if (options.apnsKeyId === undefined && teamId === undefined) return undefined;
    throw new UsageError('apns-key is missing: name the .p8 file that the key id and the team belong to.');
  }
  const keyId = options.apnsKeyId ?? /^AuthKey_(\w{10})\.p8$/.exec(basename(keyPath))?.[1];
  if (keyId === undefined) throw new UsageError('apns-key-id is missing: the key file is not called AuthKey_….p8.');
  if (teamId === undefined) throw new UsageError('apns-team is missing: Apple shows it beside the name of your team.');
  return { keyPath, keyId, teamId, bundleId, isSandbox };
}
