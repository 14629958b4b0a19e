import { defineText } from '../language/text.js';

/** Words of the shared components. */
export const designText = defineText(
  {
    copy: 'Copy',
    copied: 'Copied',
    copyOf: (what: string) => `Copy: ${what}`,
    showCode: 'QR code',
    codeOf: (what: string) => `QR code: ${what}`,
    close: 'Close',
    cancel: 'Cancel',
    severityGood: 'Good',
    severityWarning: 'Warning',
    severityFault: 'Fault',
    severityUnknown: 'Not known',
    noAnswer: 'The hub does not answer. Is this device still on its network?',
    loading: 'Asking the hub …',
    facts: 'Details',
  },
  {
    copy: 'Copier',
    copied: 'Copié',
    copyOf: (what) => `Copier : ${what}`,
    showCode: 'Code QR',
    codeOf: (what) => `Code QR : ${what}`,
    close: 'Fermer',
    cancel: 'Annuler',
    severityGood: 'Bon',
    severityWarning: 'Attention',
    severityFault: 'Défaut',
    severityUnknown: 'Inconnu',
    noAnswer: 'Le hub ne répond pas. Cet appareil est-il toujours sur son réseau ?',
    loading: 'On demande au hub…',
    facts: 'Détails',
  },
);
