import confirm from './pictures/confirm.svg?raw';
import download from './pictures/download.svg?raw';
import install from './pictures/install.svg?raw';
import lock from './pictures/lock.svg?raw';
import settings from './pictures/settings.svg?raw';
import store from './pictures/store.svg?raw';
import switchOn from './pictures/switch.svg?raw';
import type { trustText } from './text.js';

export const DEVICES = ['android', 'ios', 'windows', 'macos', 'chromium', 'firefox'] as const;
export type Device = (typeof DEVICES)[number];

export interface Step {
  /** A drawing, as SVG text. */
  readonly picture: string;
  readonly text: {
    readonly [K in keyof (typeof trustText)['en']]: (typeof trustText)['en'][K] extends string ? K : never;
  }[keyof (typeof trustText)['en']];
  /** The file that this step fetches. */
  readonly file?: 'certificate' | 'der' | 'profile';
}

/** What to do on each kind of device, in order. */
export const STEPS: Readonly<Record<Device, readonly Step[]>> = {
  android: [
    { picture: download, text: 'androidGet', file: 'der' },
    { picture: settings, text: 'androidFind' },
    { picture: confirm, text: 'androidConfirm' },
    { picture: lock, text: 'androidFirefox' },
  ],
  ios: [
    { picture: download, text: 'iosGet', file: 'profile' },
    { picture: settings, text: 'iosInstall' },
    { picture: switchOn, text: 'iosSwitch' },
    { picture: lock, text: 'done' },
  ],
  windows: [
    { picture: download, text: 'windowsGet', file: 'certificate' },
    { picture: install, text: 'windowsInstall' },
    { picture: store, text: 'windowsStore' },
    { picture: confirm, text: 'windowsConfirm' },
  ],
  macos: [
    { picture: download, text: 'macosGet', file: 'der' },
    { picture: settings, text: 'macosOpen' },
    { picture: store, text: 'macosTrust' },
    { picture: lock, text: 'done' },
  ],
  chromium: [
    { picture: download, text: 'chromiumGet', file: 'certificate' },
    { picture: settings, text: 'chromiumFind' },
    { picture: confirm, text: 'chromiumConfirm' },
    { picture: lock, text: 'done' },
  ],
  firefox: [
    { picture: download, text: 'firefoxGet', file: 'certificate' },
    { picture: settings, text: 'firefoxFind' },
    { picture: confirm, text: 'firefoxConfirm' },
    { picture: lock, text: 'done' },
  ],
};

/** The device at hand, as its browser names itself. */
export function likelyDevice(userAgent: string): Device {
  if (/Android/.test(userAgent)) return 'android';
  if (/iPhone|iPad/.test(userAgent)) return 'ios';
  if (/Firefox/.test(userAgent)) return 'firefox';
  if (/Windows/.test(userAgent)) return 'windows';
  return /Macintosh/.test(userAgent) ? 'macos' : 'chromium';
}
